//! A JSON call: its headers to metadata, its body to a message, its answer to JSON.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use meridian_etcd_api::{Method, Shape, response_to_json};
use tonic::Code;

use super::{
    JSON, body,
    dialect::{Dialect, Within},
    respond,
};
use crate::{
    body::{DoorBody, Frames, Pieces},
    call::{Answered, Call, Connection, Served},
    failure::Failure,
    grpc,
    metadata::Terms,
    stream as streams, unary,
    wire::PREFIX_BYTES,
};

/// Prefix of headers that are metadata, and of metadata in answers.
const METADATA_PREFIX: &str = "grpc-metadata-";

const ANSWER_CONTENT_TYPE: HeaderName = HeaderName::from_static("grpc-metadata-content-type");
const SERVED_BY: HeaderName = HeaderName::from_static("grpc-metadata-meridian-served-by");
const STALENESS_MS: HeaderName = HeaderName::from_static("grpc-metadata-meridian-staleness-ms");

/// Answers one call.
pub(super) async fn answer<B>(
    connection: Arc<Connection>,
    method: Method,
    headers: HeaderMap,
    body: B,
    dialect: Dialect,
) -> Response<DoorBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let metadata = metadata_of(&headers);
    let within = match method.shape() {
        Shape::Unary => Within::Body,
        Shape::ServerStream | Shape::Bidi => Within::Stream,
    };
    let answered = match (terms_of(&headers, &metadata), within) {
        (Err(failure), _) => Err(failure),
        (Ok(terms), Within::Body) => {
            let call = Call {
                connection: &connection,
                method,
                terms: &terms,
                headers: &metadata,
            };
            one(&call, body, dialect).await
        }
        (Ok(terms), Within::Stream) => {
            let call = Call {
                connection: &connection,
                method,
                terms: &terms,
                headers: &metadata,
            };
            many(&call, body, dialect).await
        }
    };
    answered.unwrap_or_else(|failure| dialect.failure(&failure, within))
}

async fn one<B>(call: &Call<'_>, body: B, dialect: Dialect) -> Result<Response<DoorBody>, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let message = body::message(call.method, dialect.of_requests(), body).await?;
    let Answered { mut frame, served } = unary::answer(call, message).await?;
    frame.advance(PREFIX_BYTES);
    let text = response_to_json(call.method, &frame).map_err(|error| unreadable(&error))?;
    let mut response = respond(StatusCode::OK, JSON, text.into());
    put_metadata(response.headers_mut(), &served);
    Ok(response)
}

/// A streaming call: the answer begins with its first message, as etcd's does, so that a call that
/// fails at once has the status of its failure.
async fn many<B>(call: &Call<'_>, body: B, dialect: Dialect) -> Result<Response<DoorBody>, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let requests = match call.method.shape() {
        Shape::Unary | Shape::ServerStream => {
            let message = body::message(call.method, dialect.of_requests(), body);
            streams::once(call.connection.door.unless_draining(message).await?)
        }
        Shape::Bidi => body::messages(call.method, dialect.of_requests(), body),
    };
    let streams::Opened { mut frames, served } = streams::open(call, requests).await?;
    let Some(first) = frames.next().await.transpose()? else {
        let mut response = Response::new(DoorBody::Pieces(Box::pin(stream::empty())));
        if let Some(kind) = dialect.kind_of_nothing() {
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        return Ok(response);
    };
    let mut response = Response::new(DoorBody::Pieces(lines(call.method, first, frames, dialect)));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    put_metadata(response.headers_mut(), &served);
    Ok(response)
}

fn lines(method: Method, first: Bytes, rest: Frames, dialect: Dialect) -> Pieces {
    let frames = stream::once(async { Ok(first) }).chain(rest);
    Box::pin(frames.map(move |piece| {
        let written = piece.and_then(|piece| results(method, piece));
        written.unwrap_or_else(|failure| dialect.failure_line(&failure))
    }))
}

/// Each message of a piece as a line.
fn results(method: Method, mut piece: Bytes) -> Result<Bytes, Failure> {
    let mut text = BytesMut::new();
    while let Some(prefix) = piece.first_chunk::<PREFIX_BYTES>() {
        let [_, len @ ..] = *prefix;
        piece.advance(PREFIX_BYTES);
        let message = piece.split_to(u32::from_be_bytes(len) as usize);
        let json = response_to_json(method, &message).map_err(|error| unreadable(&error))?;
        text.extend_from_slice(b"{\"result\":");
        text.extend_from_slice(&json);
        text.extend_from_slice(b"}\n");
    }
    Ok(text.freeze())
}

fn unreadable(error: &meridian_etcd_api::DecodeError) -> Failure {
    tracing::warn!(%error, "the home's answer cannot be shown as JSON");
    Failure::new(
        Code::Internal,
        "meridian: the home's answer cannot be shown as JSON; use gRPC",
    )
}

/// The metadata that headers stand for: `Grpc-Metadata-X` is `x`, and `Authorization` itself.
fn metadata_of(headers: &HeaderMap) -> HeaderMap {
    let named = headers.iter().filter_map(|(name, value)| {
        let metadata = match name.as_str().strip_prefix(METADATA_PREFIX) {
            Some(rest) => HeaderName::from_bytes(rest.as_bytes()).ok()?,
            None if *name == header::AUTHORIZATION => name.clone(),
            None => return None,
        };
        Some((metadata, value.clone()))
    });
    named.collect()
}

fn terms_of(headers: &HeaderMap, metadata: &HeaderMap) -> Result<Terms, Failure> {
    let Some(timeout) = headers.get("grpc-timeout") else {
        return Terms::of(metadata);
    };
    let mut with_timeout = metadata.clone();
    with_timeout.insert("grpc-timeout", timeout.clone());
    Terms::of(&with_timeout).map_err(|failure| {
        if failure.code != Code::Internal {
            return failure;
        }
        let shown = String::from_utf8_lossy(timeout.as_bytes());
        Failure::new(
            Code::InvalidArgument,
            format!("invalid grpc-timeout: {shown}"),
        )
    })
}

fn put_metadata(headers: &mut HeaderMap, served: &Served) {
    headers.insert(
        ANSWER_CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    match served {
        Served::Local { staleness } => {
            headers.insert(SERVED_BY, HeaderValue::from_static("local"));
            if let Some(age) = staleness {
                headers.insert(STALENESS_MS, grpc::age_ms(*age));
            }
        }
        Served::Home { metadata } => {
            for (name, value) in metadata {
                let named = format!("{METADATA_PREFIX}{name}");
                if let Ok(name) = HeaderName::try_from(named) {
                    headers.append(name, value.clone());
                }
            }
            headers.insert(SERVED_BY, HeaderValue::from_static("home"));
        }
    }
}
