//! The HTTP side of the port: etcd's JSON gateway, `/version` and the health endpoints.
//!
//! Owns routes, statuses and headers; everything a call means is the gRPC side's, through the same
//! handlers. Shapes were taken from running etcds, 3.4.23 and 3.6.16: where they differ, the
//! home's version decides.

mod body;
mod dialect;
mod gateway;
mod probe;

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method as HttpMethod, Response, StatusCode, header, request::Parts,
};
use http_body::Body;
use meridian_etcd_api::Method;

use crate::{body::DoorBody, call::Connection};
use dialect::Dialect;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Answers one request.
pub(crate) async fn answer<B>(
    connection: Arc<Connection>,
    parts: Parts,
    body: B,
) -> Response<DoorBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let mut response = route(connection, parts, body).await;
    allow_origins(response.headers_mut());
    response
}

async fn route<B>(connection: Arc<Connection>, parts: Parts, body: B) -> Response<DoorBody>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    if parts.method == HttpMethod::OPTIONS {
        return Response::new(DoorBody::Empty);
    }
    let version = connection.engine().home().describe().version;
    let dialect = Dialect::of(version.as_deref());
    let path = parts.uri.path();
    if let Some(probe) = probe::Probe::of(path, dialect) {
        let query = parts.uri.query().unwrap_or_default();
        return match parts.method {
            HttpMethod::GET => probe::answer(&connection, probe, query, dialect).await,
            _ => get_only(),
        };
    }
    if path == "/v3" {
        return dialect.redirect();
    }
    let Some(rest) = path
        .strip_prefix("/v3/")
        .or_else(|| path.strip_prefix("/v3beta/"))
    else {
        return plain(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    match Method::from_http_route(&format!("/v3/{rest}")) {
        None => dialect.not_found(),
        Some(method) if !dialect.has_route_of(method) => dialect.not_found(),
        Some(_) if parts.method != HttpMethod::POST => dialect.wrong_method(),
        Some(method) => gateway::answer(connection, method, parts.headers, body, dialect).await,
    }
}

/// What Go's `http.Error` writes.
fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<DoorBody> {
    let mut response = respond(status, PLAIN, text.into());
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

fn respond(status: StatusCode, kind: HeaderValue, body: Bytes) -> Response<DoorBody> {
    let mut response = Response::new(DoorBody::Full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn get_only() -> Response<DoorBody> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET"));
    response
}

/// etcd's default `--cors=*`.
fn allow_origins(headers: &mut HeaderMap) {
    for (name, value) in [
        (
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "POST, GET, OPTIONS, PUT, DELETE",
        ),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "accept, content-type, authorization",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests;
