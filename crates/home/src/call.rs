//! A call in etcd's own bytes, its replies, and how it can fail.
//!
//! Owns the words for an outcome. Invariant: [`Fate::NotSent`] is said only of a call of which no
//! byte has reached the home.

use std::{pin::Pin, time::Instant};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use meridian_etcd_api::{EtcdError, Method};
use tonic::{Code, Status, metadata::MetadataMap};

/// One unary call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub method: Method,
    /// The client's metadata, passed on.
    pub metadata: MetadataMap,
    /// The encoded request message.
    pub message: Bytes,
    /// When the client stops waiting.
    pub deadline: Option<Instant>,
}

impl Call {
    /// A call of our own: no metadata, no deadline but the home's own.
    pub fn new(method: Method, message: Bytes) -> Self {
        Self {
            method,
            metadata: MetadataMap::new(),
            message,
            deadline: None,
        }
    }
}

/// One streaming call.
pub struct StreamCall {
    /// What is called.
    pub method: Method,
    /// The client's metadata, passed on.
    pub metadata: MetadataMap,
    /// The encoded request messages; their end half-closes the call.
    pub requests: BoxStream<'static, Bytes>,
}

/// The answer to a unary call.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The home's response metadata.
    pub metadata: MetadataMap,
    /// The encoded response message.
    pub message: Bytes,
}

/// The answers of a streaming call.
pub struct Replies {
    /// The home's initial metadata.
    pub metadata: MetadataMap,
    /// Encoded response messages; an error is the last item, a plain end is status OK.
    pub messages: Pin<Box<dyn futures_core::Stream<Item = Result<Bytes, CallError>> + Send>>,
}

/// Whether a failed call may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never left; sending it again is safe.
    NotSent,
    /// The home answered with this error.
    Refused,
    /// It was sent and no answer came: it may have taken effect, now or later.
    Unknown,
}

/// A call that failed, as the client is to be told.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} ({code:?}, {fate:?})")]
pub struct CallError {
    /// The gRPC code.
    pub code: Code,
    /// The text, which etcd's clients match on.
    pub message: String,
    /// The home's trailing metadata.
    pub metadata: MetadataMap,
    /// Whether it may have taken effect.
    pub fate: Fate,
}

/// The text by which etcd's Go client knows that a write did not leave and may be sent again; it
/// compares the whole text.
pub const NO_CONNECTION: &str = "there is no connection available";

impl CallError {
    /// Nothing could be reached in time; nothing was sent.
    pub fn no_connection() -> Self {
        Self::new(Code::Unavailable, NO_CONNECTION, Fate::NotSent)
    }

    /// The way broke under a call that was sent: what etcd tells of a lost connection.
    pub fn connection_lost() -> Self {
        let told = EtcdError::TIMEOUT_DUE_TO_CONNECTION_LOST;
        Self::new(told.code(), told.message(), Fate::Unknown)
    }

    /// The client's deadline passed.
    pub fn deadline_passed(fate: Fate) -> Self {
        Self::new(
            Code::DeadlineExceeded,
            EtcdError::DEADLINE_EXCEEDED.message(),
            fate,
        )
    }

    /// A failure with no metadata.
    pub fn new(code: Code, message: impl Into<String>, fate: Fate) -> Self {
        Self {
            code,
            message: message.into(),
            metadata: MetadataMap::new(),
            fate,
        }
    }

    /// The home's own answer.
    pub fn refused(status: Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            metadata: status.metadata().clone(),
            fate: Fate::Refused,
        }
    }

    /// Whether the home refused because authentication is enabled and the call carried no (valid)
    /// credentials: then nothing may be served locally.
    pub fn means_auth_required(&self) -> bool {
        self.fate == Fate::Refused
            && (matches!(self.code, Code::Unauthenticated | Code::PermissionDenied)
                || self.message.contains("user name is empty"))
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        Status::with_metadata(error.code, error.message, error.metadata)
    }
}
