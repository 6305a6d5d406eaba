//! One sending of one call on one connection.
//!
//! Knows nothing of other endpoints, and so resends nothing.

use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use meridian_etcd_api::Method;
use tonic::{
    Request,
    codec::Streaming,
    codegen::http::uri::PathAndQuery,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    channel::Client,
    codec::RawCodec,
    fault::{self, Fault},
};
use crate::{CallError, Reply};

/// What we call ourselves towards the home.
const AGENT: &str = concat!("meridian/", env!("CARGO_PKG_VERSION"));

/// A call as it is sent.
pub(super) struct Attempt {
    pub(super) method: Method,
    /// Only what the home is to see.
    pub(super) metadata: MetadataMap,
    pub(super) message: Bytes,
    /// How long the client will wait, told to the home.
    pub(super) timeout: Option<Duration>,
}

/// A failure, with the fault of the way if that was it.
pub(super) type Failure = (CallError, Option<Fault>);

/// Sends a unary call. Not cancel-safe: when dropped, its outcome is unknown.
pub(super) async fn unary(client: &Client, attempt: Attempt) -> Result<Reply, Failure> {
    let Attempt {
        method,
        metadata,
        message,
        timeout,
    } = attempt;
    let request = request(metadata, message, timeout);
    let response = client.clone().unary(request, path(method), RawCodec).await;
    let (metadata, message, _) = response.map_err(fault::call_error)?.into_parts();
    Ok(Reply { metadata, message })
}

/// Opens a streaming call; returns when the home's initial metadata has come.
pub(super) async fn streaming<S>(
    client: &Client,
    method: Method,
    metadata: MetadataMap,
    requests: S,
) -> Result<(MetadataMap, Streaming<Bytes>), Failure>
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let request = request(metadata, requests, None);
    let response = client
        .clone()
        .streaming(request, path(method), RawCodec)
        .await;
    let (metadata, replies, _) = response.map_err(fault::call_error)?.into_parts();
    Ok((metadata, replies))
}

fn request<T>(metadata: MetadataMap, message: T, timeout: Option<Duration>) -> Request<T> {
    let mut request = Request::new(message);
    *request.metadata_mut() = metadata;
    request
        .metadata_mut()
        .insert("user-agent", MetadataValue::from_static(AGENT));
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    request
}

fn path(method: Method) -> PathAndQuery {
    PathAndQuery::from_static(method.path())
}
