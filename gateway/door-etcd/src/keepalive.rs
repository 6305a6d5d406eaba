//! `Lease.LeaseKeepAlive`: one answer for each request, in order, each confirmed by the home.
//!
//! Half-closing finishes the answers outstanding and ends well, as with etcd.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_engine::{Engine, Mode};
use meridian_etcd_api::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, ResponseHeader,
};
use meridian_keyspace::{LeaseId, Revision};
use prost::Message;
use tonic::Code;

use crate::{
    body::Frames,
    call::{Call, Served},
    failure::Failure,
    stream::{self as streams, Opened, Requests, Until},
    wire,
};

/// Renewals of one stream that wait for the home at one time; further requests are not read until
/// one is answered. A client with 10,000 leases renews them within its TTL/3 at any round trip.
const UNDER_WAY_MAX: usize = 256;

/// Opens the stream.
///
/// # Errors
/// When it is carried home and the home refuses.
pub(crate) async fn open(call: &Call<'_>, requests: Requests) -> Result<Opened, Failure> {
    if call.engine().mode() != Mode::Local {
        return streams::tunnel(call, requests).await;
    }
    let engine = Arc::clone(call.engine());
    let connection = Arc::clone(call.connection);
    let answers = requests
        .map(move |request| renew(Arc::clone(&engine), request))
        .buffered(UNDER_WAY_MAX)
        .map(move |answer| {
            let (revision, frame) = answer?;
            connection.shown(revision);
            Ok(frame)
        });
    let frames: Frames = Box::pin(answers);
    let ending = streams::ending(call.connection, call.terms.leader);
    let frames = Box::pin(Until {
        frames: Some(frames),
        ending,
    });
    Ok(Opened {
        frames,
        served: Served::Local {
            staleness: call.engine().staleness(),
        },
    })
}

async fn renew(
    engine: Arc<Engine>,
    request: Result<Bytes, Failure>,
) -> Result<(Revision, Bytes), Failure> {
    let request = LeaseKeepAliveRequest::decode(request?).map_err(|error| unmarshal(&error))?;
    let renewal = engine.keepalives().renew(LeaseId::new(request.id)).await?;
    let header = ResponseHeader {
        cluster_id: renewal.facts.cluster_id,
        member_id: engine.facts().member_id,
        revision: renewal.facts.revision.get(),
        raft_term: renewal.facts.raft_term,
    };
    let answer = LeaseKeepAliveResponse {
        header: Some(header),
        id: request.id,
        ttl: renewal.ttl,
    };
    Ok((renewal.facts.revision, wire::framed(&answer)))
}

/// grpc-go's words for a broken message of a stream.
pub(crate) fn unmarshal(error: &prost::DecodeError) -> Failure {
    let mut failure = Failure::unmarshal(error);
    failure.message = failure
        .message
        .replace(
            "grpc: error unmarshalling request:",
            "grpc: failed to unmarshal the received message:",
        )
        .into();
    failure.code = Code::Internal;
    failure
}
