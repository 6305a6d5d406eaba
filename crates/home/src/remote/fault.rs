//! A call that the way to the home failed: what is known of it, and what its client is told.
//!
//! Owns the judgement on which the promise "never sent twice" rests. [`Fault::NotSent`] is said in
//! three cases only: hyper gave the whole request back; the peer reset the stream with
//! `REFUSED_STREAM`; the peer's GOAWAY left the stream out. In the last two the peer vouches that
//! it did not process the call (RFC 9113, 8.7). h2 hands a stream the remote GOAWAY as its error
//! only if the stream's id is above the one named in it; streams below see a broken pipe.

use std::error::Error as _;

use http::StatusCode;
use meridian_etcd_api::EtcdError;
use tonic::{Code, Status};

use crate::{CallError, Fate};

/// The way to the home failed a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The home has not seen, or vouches not to have processed, the call.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The call left and the connection failed before the answer.
    #[error("connection lost: {0}")]
    Lost(String),
    /// Something answered that does not speak gRPC.
    #[error(
        "the endpoint answered HTTP {0} without gRPC; is its address that of an etcd client port?"
    )]
    NotGrpc(StatusCode),
}

impl Fault {
    /// What an error of a call that left says.
    pub(super) fn of_sent(error: &hyper::Error) -> Self {
        let text = chain(error);
        let h2 = error
            .source()
            .and_then(|source| source.downcast_ref::<h2::Error>());
        if h2.is_some_and(was_not_processed) {
            Self::NotSent(text)
        } else {
            Self::Lost(text)
        }
    }

    /// What an error of a call that hyper gave back says.
    pub(super) fn of_returned(error: &hyper::Error) -> Self {
        Self::NotSent(chain(error))
    }

    /// What the client is told.
    pub(super) fn to_call_error(&self) -> CallError {
        match self {
            Self::NotSent(_) => no_connection(),
            Self::Lost(_) => CallError::connection_lost(),
            Self::NotGrpc(_) => CallError::new(Code::Unavailable, self.to_string(), Fate::Unknown),
        }
    }
}

/// No endpoint could be reached in time.
pub(super) fn no_connection() -> CallError {
    CallError::no_connection()
}

/// The home did not answer in time, by our bound; etcd says the same by its own.
pub(super) fn no_answer() -> CallError {
    unknown(EtcdError::TIMEOUT)
}

/// The client's deadline passed while the call was under way.
pub(super) fn deadline_passed(fate: Fate) -> CallError {
    CallError::deadline_passed(fate)
}

/// A gRPC outcome as tonic reports it: the home's own answer unless a [`Fault`] caused it.
pub(super) fn call_error(status: Status) -> (CallError, Option<Fault>) {
    match status
        .source()
        .and_then(|source| source.downcast_ref::<Fault>())
    {
        Some(fault) => (fault.to_call_error(), Some(fault.clone())),
        None => (CallError::refused(status), None),
    }
}

/// Whether the home's refusal says that this member cannot serve now, though another may.
pub(super) fn blames_member(error: &CallError) -> bool {
    let known = EtcdError::from_message(&error.message);
    error.fate == Fate::Refused
        && known.is_some_and(|known| {
            [
                EtcdError::NO_LEADER,
                EtcdError::STOPPED,
                EtcdError::UNHEALTHY,
                EtcdError::TIMEOUT,
                EtcdError::TIMEOUT_DUE_TO_LEADER_FAIL,
                EtcdError::TIMEOUT_DUE_TO_CONNECTION_LOST,
                EtcdError::TIMEOUT_WAIT_APPLIED_INDEX,
                EtcdError::NOT_SUPPORTED_FOR_LEARNER,
                EtcdError::CORRUPT,
            ]
            .contains(known)
        })
}

fn unknown(error: EtcdError) -> CallError {
    CallError::new(error.code(), error.message(), Fate::Unknown)
}

fn was_not_processed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
