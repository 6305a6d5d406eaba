//! A call that failed, and every error's place on gRPC's wire.
//!
//! Owns the mapping of the engine's and the keyspace's errors to etcd's codes and texts, in this
//! one file, exhaustively. Clients match on both, so both are etcd's wherever etcd has a word for
//! what happened; what only a gateway can say begins with `meridian: `.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue};
use meridian_engine::AdmitError;
use meridian_etcd_api::EtcdError;
use meridian_home::CallError;
use meridian_keyspace::ReadError;
use tonic::Code;

use crate::metadata;

/// Why a call failed, as its client is told.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    /// The home's trailing metadata, if it was the home that refused.
    pub(crate) metadata: Option<Box<HeaderMap>>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            metadata: None,
        }
    }

    /// The client's deadline has passed.
    pub(crate) fn deadline() -> Self {
        Self::new(Code::DeadlineExceeded, "context deadline exceeded")
    }

    /// A request message that is not what its method takes, as grpc-go tells it.
    pub(crate) fn unmarshal(error: &prost::DecodeError) -> Self {
        let text = error.to_string();
        let reason = if text.contains("underflow") {
            "unexpected EOF"
        } else {
            text.as_str()
        };
        Self::new(
            Code::Internal,
            format!("grpc: error unmarshalling request: {reason}"),
        )
    }

    /// `grpc-status`, `grpc-message` and the home's metadata, as headers or trailers.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        if let Some(metadata) = &self.metadata {
            headers.extend(metadata.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        headers.insert("grpc-status", HeaderValue::from(self.code as i32));
        if !self.message.is_empty() {
            headers.insert("grpc-message", percent_encoded(&self.message));
        }
    }
}

/// gRPC's `grpc-message`: printable ASCII but `%` as it is, every other byte as `%XX`.
fn percent_encoded(message: &str) -> HeaderValue {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").expect("a String takes everything"),
        }
    }
    HeaderValue::from_str(&text).expect("printable ASCII is a header value")
}

impl From<EtcdError> for Failure {
    fn from(error: EtcdError) -> Self {
        Self::new(error.code(), error.message())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let metadata = metadata::from_home(error.metadata);
        let metadata = (!metadata.is_empty()).then(|| Box::new(metadata));
        Self {
            code: error.code,
            message: error.message.into(),
            metadata,
        }
    }
}

impl From<AdmitError> for Failure {
    fn from(error: AdmitError) -> Self {
        match error {
            AdmitError::Incomplete
            | AdmitError::TooStale { .. }
            | AdmitError::NotReached { .. } => Self::new(Code::Unavailable, error.to_string()),
            AdmitError::Home(error) => error.into(),
        }
    }
}

/// What a failed read at a revision means for the call.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The home may still have the revision.
    AskHome,
    /// So the client is told.
    Failed(Failure),
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Compacted { compacted: _ } => Self::Failed(EtcdError::COMPACTED.into()),
            ReadError::Future { current: _ } => Self::Failed(EtcdError::FUTURE_REVISION.into()),
            ReadError::Forgotten { floor: _ } => Self::AskHome,
        }
    }
}

#[cfg(test)]
mod tests;
