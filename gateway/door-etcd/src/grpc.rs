//! gRPC over HTTP/2: a request to a call, an answer to a response.
//!
//! Owns the paths, the response headers and the two shapes of a response: a message and trailers,
//! or trailers alone. It decides nothing about a call but where it goes.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use http::request::Parts;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Response, StatusCode, header,
};
use http_body::Body;
use meridian_etcd_api::{Method, Shape};
use tonic::Code;

use crate::{
    body::DoorBody,
    call::{Answered, Call, Connection, Served},
    failure::Failure,
    frame::Messages,
    health,
    metadata::Terms,
    stream::{self, Opened, Requests},
    unary,
};

const CONTENT_TYPE: &str = "application/grpc";
const SERVED_BY: HeaderName = HeaderName::from_static("meridian-served-by");
const STALENESS_MS: HeaderName = HeaderName::from_static("meridian-staleness-ms");

/// Ages in milliseconds that have a header value ready: a healthy replica's, and more.
const READY_AGES_MS: u64 = 1024;

/// Ages below this come again and again, and may have a place in HTTP/2's header table: with name and
/// overhead 54 bytes each, of the 4 KiB that a table has. Others would only push out what does.
const INDEXED_AGES_MS: u64 = 8;

static AGES: LazyLock<Vec<HeaderValue>> =
    LazyLock::new(|| (0..READY_AGES_MS).map(age_value).collect());

fn age_value(ms: u64) -> HeaderValue {
    let mut value = HeaderValue::from(ms);
    value.set_sensitive(ms >= INDEXED_AGES_MS);
    value
}

/// Whether a request is a gRPC call, as etcd's listener tells them apart.
pub(crate) fn is_grpc(version: http::Version, headers: &HeaderMap) -> bool {
    version == http::Version::HTTP_2
        && headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(CONTENT_TYPE.as_bytes()))
}

/// Answers one call.
pub(crate) async fn answer<B>(
    connection: &Arc<Connection>,
    parts: &Parts,
    body: B,
) -> Response<DoorBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let outcome = match Method::from_path(parts.uri.path()) {
        Some(method) if parts.method == HttpMethod::POST => {
            serve(connection, method, parts, body).await
        }
        Some(_) | None => Box::pin(serve_other(connection, parts, body)).await,
    };
    let content_type = content_type(&parts.headers);
    match outcome {
        Ok(mut response) => {
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
            response
        }
        Err(failure) => trailers_only(&failure, content_type),
    }
}

async fn serve<B>(
    connection: &Arc<Connection>,
    method: Method,
    parts: &Parts,
    body: B,
) -> Result<Response<DoorBody>, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let terms = Terms::of(&parts.headers)?;
    let call = Call {
        connection,
        method,
        terms: &terms,
        headers: &parts.headers,
    };
    let mut messages = Messages::new(body, terms.encoding);
    match method.shape() {
        Shape::Unary => {
            let message = messages.only().await?;
            Ok(one_message(unary::answer(&call, message).await?))
        }
        Shape::ServerStream | Shape::Bidi => {
            let requests = stream::requests_of(messages);
            Box::pin(open(&call, requests)).await
        }
    }
}

async fn open(call: &Call<'_>, requests: Requests) -> Result<Response<DoorBody>, Failure> {
    let Opened { frames, served } = stream::open(call, requests).await?;
    Ok(respond(served, DoorBody::Stream(frames)))
}

/// What is no method of etcd's: the health service, and what does not exist.
async fn serve_other<B>(
    connection: &Arc<Connection>,
    parts: &Parts,
    body: B,
) -> Result<Response<DoorBody>, Failure>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if parts.method != HttpMethod::POST {
        return Ok(wrong_http_method(&parts.method));
    }
    let terms = Terms::of(&parts.headers)?;
    let engine = connection.engine();
    let door = &connection.door;
    let mut messages = Messages::new(body, terms.encoding);
    match parts.uri.path() {
        health::CHECK => {
            let frame = health::check(engine, &messages.only().await?)?;
            let served = Served::Local {
                staleness: engine.staleness(),
            };
            Ok(one_message(Answered { frame, served }))
        }
        health::WATCH => {
            let message = door.unless_draining(messages.only()).await?;
            let frames = health::watch(engine, &door.draining, &message)?;
            let served = Served::Local {
                staleness: engine.staleness(),
            };
            Ok(respond(served, DoorBody::Stream(frames)))
        }
        path => Err(unknown(path)),
    }
}

/// grpc-go's words for a path that is nothing here.
fn unknown(path: &str) -> Failure {
    let Some((service, method)) = path
        .strip_prefix('/')
        .and_then(|name| name.rsplit_once('/'))
    else {
        let text = format!("malformed method name: {path:?}");
        return Failure::new(Code::Unimplemented, text);
    };
    let of_service = |known: &str| {
        known[1..]
            .strip_prefix(service)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    let known = Method::ALL.iter().any(|method| of_service(method.path()));
    let text = if known || of_service(health::CHECK) {
        format!("unknown method {method} for service {service}")
    } else {
        format!("unknown service {service}")
    };
    Failure::new(Code::Unimplemented, text)
}

fn wrong_http_method(method: &HttpMethod) -> Response<DoorBody> {
    let text = format!(
        "Received a HEADERS frame with :method {:?} which should be POST",
        method.as_str()
    );
    let failure = Failure::new(Code::Internal, text);
    let mut response = trailers_only(&failure, HeaderValue::from_static(CONTENT_TYPE));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

fn one_message(answered: Answered) -> Response<DoorBody> {
    respond(answered.served, DoorBody::Message(answered.frame))
}

fn respond(served: Served, body: DoorBody) -> Response<DoorBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    match served {
        Served::Local { staleness } => {
            headers.reserve(3);
            headers.insert(SERVED_BY, HeaderValue::from_static("local"));
            if let Some(age) = staleness {
                headers.insert(STALENESS_MS, age_ms(age));
            }
        }
        Served::Home { metadata } => {
            *headers = metadata;
            headers.insert(SERVED_BY, HeaderValue::from_static("home"));
        }
    }
    response
}

/// Whole milliseconds, rounded up: an age shown is never too low.
pub(crate) fn age_ms(age: std::time::Duration) -> HeaderValue {
    let ms = age.as_nanos().div_ceil(1_000_000).min(u128::from(u64::MAX)) as u64;
    match AGES.get(ms as usize) {
        Some(ready) => ready.clone(),
        None => age_value(ms),
    }
}

fn trailers_only(failure: &Failure, content_type: HeaderValue) -> Response<DoorBody> {
    let mut response = Response::new(DoorBody::Empty);
    failure.write_to(response.headers_mut());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

/// The client's own, as etcd answers it.
fn content_type(headers: &HeaderMap) -> HeaderValue {
    match headers.get(header::CONTENT_TYPE) {
        Some(value) if value != CONTENT_TYPE => value.clone(),
        Some(_) | None => HeaderValue::from_static(CONTENT_TYPE),
    }
}

#[cfg(test)]
mod tests;
