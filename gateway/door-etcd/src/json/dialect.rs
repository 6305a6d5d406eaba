//! How etcd's HTTP side speaks, by version: grpc-gateway 1 before 3.6, 2 from then on.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use meridian_etcd_api::{Dialect as RequestDialect, Method};
use serde::Serialize;
use tonic::Code;

use super::{JSON, plain, respond};
use crate::{body::DoorBody, failure::Failure};

/// The home's version, as far as shapes depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dialect {
    minor: u32,
    patch: u32,
}

/// What an error is within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// A unary call: the error is the body.
    Body,
    /// A stream: it is one of its lines.
    Stream,
}

#[derive(Serialize)]
struct BodyV1<'a> {
    error: &'a str,
    message: &'a str,
    code: i32,
}

#[derive(Serialize)]
struct StreamV1<'a> {
    grpc_code: i32,
    http_code: u16,
    message: &'a str,
    http_status: &'a str,
}

#[derive(Serialize)]
struct ErrorV2<'a> {
    code: i32,
    message: &'a str,
}

#[derive(Serialize)]
struct Line<T> {
    error: T,
}

impl Dialect {
    /// The dialect of a version such as `3.6.16`; the newest if it is not known.
    pub(super) fn of(version: Option<&str>) -> Self {
        let newest = Self {
            minor: u32::MAX,
            patch: 0,
        };
        let Some(version) = version else {
            return newest;
        };
        let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(3)), Some(Ok(minor)), Some(Ok(patch))) => Self { minor, patch },
            _ => newest,
        }
    }

    /// Whether errors and unknown routes look as grpc-gateway 2 has them.
    fn is_new(self) -> bool {
        self.minor >= 6
    }

    /// What requests may look like.
    pub(super) fn of_requests(self) -> RequestDialect {
        if self.is_new() {
            RequestDialect::Lenient
        } else {
            RequestDialect::Strict
        }
    }

    /// Whether `/health` gives its reason.
    pub(super) fn has_reason(self) -> bool {
        self.minor >= 5
    }

    /// Whether `/version` tells the storage version.
    pub(super) fn has_storage_version(self) -> bool {
        self.minor >= 6
    }

    /// Whether `/livez` and `/readyz` exist.
    pub(super) fn has_probes(self) -> bool {
        match self.minor {
            0..4 => false,
            4 => self.patch >= 29,
            5 => self.patch >= 11,
            6.. => true,
        }
    }

    /// Whether that version's gateway has a method's routes.
    pub(super) fn has_route_of(self, method: Method) -> bool {
        let since = if matches!(method, Method::AuthStatus | Method::MaintenanceDowngrade) {
            Self { minor: 5, patch: 0 }
        } else if method == Method::MaintenanceHashKv {
            // Before, its route was that of `Hash`.
            Self { minor: 5, patch: 1 }
        } else {
            return true;
        };
        self >= since
    }

    /// What a stream without a message says it is.
    pub(super) fn kind_of_nothing(self) -> Option<HeaderValue> {
        (!self.is_new()).then_some(JSON)
    }

    /// A failed call.
    pub(super) fn failure(self, failure: &Failure, within: Within) -> Response<DoorBody> {
        let mut text = self.failure_text(failure, within);
        if within == Within::Stream && self.is_new() {
            text.push(b'\n');
        }
        respond(self.status_of(failure.code), JSON, text.into())
    }

    /// The line that ends a stream which had begun well.
    pub(super) fn failure_line(self, failure: &Failure) -> Bytes {
        let mut text = self.failure_text(failure, Within::Stream);
        text.push(b'\n');
        text.into()
    }

    fn failure_text(self, failure: &Failure, within: Within) -> Vec<u8> {
        let (code, message) = (failure.code as i32, failure.message.as_ref());
        let status = self.status_of(failure.code);
        let written = match (self.is_new(), within) {
            (false, Within::Body) => serde_json::to_string(&BodyV1 {
                error: message,
                message,
                code,
            }),
            (false, Within::Stream) => {
                let http_status = status.canonical_reason().unwrap_or_default();
                let http_code = status.as_u16();
                let error = StreamV1 {
                    grpc_code: code,
                    http_code,
                    message,
                    http_status,
                };
                serde_json::to_string(&Line { error })
            }
            (true, Within::Body) => serde_json::to_string(&ErrorV2 { code, message }),
            (true, Within::Stream) => serde_json::to_string(&Line {
                error: ErrorV2 { code, message },
            }),
        };
        let text = written.expect("strings and numbers are always JSON");
        if self.is_new() {
            text.into_bytes()
        } else {
            escaped_for_html(&text).into_bytes()
        }
    }

    fn status_of(self, code: Code) -> StatusCode {
        match code {
            Code::Ok => StatusCode::OK,
            Code::Cancelled if self.is_new() => {
                StatusCode::from_u16(499).expect("499 is between 100 and 999")
            }
            Code::Cancelled => StatusCode::REQUEST_TIMEOUT,
            Code::FailedPrecondition if !self.is_new() => StatusCode::PRECONDITION_FAILED,
            Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition => {
                StatusCode::BAD_REQUEST
            }
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A path below `/v3/` that is no route.
    pub(super) fn not_found(self) -> Response<DoorBody> {
        if self.is_new() {
            let body = Bytes::from_static(br#"{"code":5,"message":"Not Found"}"#);
            respond(StatusCode::NOT_FOUND, JSON, body)
        } else {
            plain(StatusCode::NOT_FOUND, "Not Found\n")
        }
    }

    /// A route asked with another method than `POST`.
    pub(super) fn wrong_method(self) -> Response<DoorBody> {
        if self.is_new() {
            let body = Bytes::from_static(br#"{"code":12,"message":"Method Not Allowed"}"#);
            respond(StatusCode::NOT_IMPLEMENTED, JSON, body)
        } else {
            plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
        }
    }

    /// `/v3`, as Go's mux sends it on.
    pub(super) fn redirect(self) -> Response<DoorBody> {
        let (status, text) = if self.is_new() {
            (
                StatusCode::TEMPORARY_REDIRECT,
                "<a href=\"/v3/\">Temporary Redirect</a>.\n\n",
            )
        } else {
            (
                StatusCode::MOVED_PERMANENTLY,
                "<a href=\"/v3/\">Moved Permanently</a>.\n\n",
            )
        };
        let kind = HeaderValue::from_static("text/html; charset=utf-8");
        let mut response = respond(status, kind, text.into());
        response
            .headers_mut()
            .insert(header::LOCATION, HeaderValue::from_static("/v3/"));
        response
    }
}

/// Go's JSON writes these three as escapes.
fn escaped_for_html(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}
