//! Refusals: our errors as etcd's, and those that an unreplicated node adds.
//!
//! Invariant: a text that etcd has is etcd's to the letter; a text of ours says what this home is
//! and what to use instead.

use meridian_etcd_api::EtcdError;
use meridian_keyspace::{
    ReadError,
    txn::{TxnError, TxnRefused},
};
use tonic::Code;

use crate::{CallError, Fate};

/// etcd's own error as a call's outcome.
pub(super) fn with(error: EtcdError) -> CallError {
    CallError::new(error.code(), error.message(), Fate::Refused)
}

/// An etcd error as the Lock and Election services pass it on: the text, and no code.
pub(super) fn without_code(error: EtcdError) -> CallError {
    unknown(error.message())
}

/// A refusal as those services pass it on; a fault on the way keeps its code.
pub(super) fn hide_code(error: CallError) -> CallError {
    match error.fate {
        Fate::Refused => unknown(&error.message),
        Fate::NotSent | Fate::Unknown => error,
    }
}

/// A text that etcd answers without a code.
pub(super) fn unknown(text: &str) -> CallError {
    CallError::new(Code::Unknown, text, Fate::Refused)
}

/// What this home cannot do.
pub(super) fn unsupported(what: &str) -> CallError {
    let text = format!(
        "meridian: {what}: the embedded home is one unreplicated node for development; \
         use an etcd cluster as the home for this"
    );
    CallError::new(Code::Unimplemented, text, Fate::Refused)
}

/// The writer ended before it answered.
pub(super) fn stopped() -> CallError {
    let stopped = EtcdError::STOPPED;
    CallError::new(stopped.code(), stopped.message(), Fate::Unknown)
}

pub(super) fn read(error: ReadError) -> EtcdError {
    match error {
        ReadError::Compacted { .. } | ReadError::Forgotten { .. } => EtcdError::COMPACTED,
        ReadError::Future { .. } => EtcdError::FUTURE_REVISION,
    }
}

pub(super) fn txn(error: TxnError) -> EtcdError {
    match error {
        TxnError::Refused(refused) => check(refused),
        TxnError::Read(error) => read(error),
        TxnError::LeaseNotFound => EtcdError::LEASE_NOT_FOUND,
    }
}

pub(super) fn check(refused: TxnRefused) -> EtcdError {
    match refused {
        TxnRefused::EmptyKey => EtcdError::EMPTY_KEY,
        TxnRefused::TooManyOps => EtcdError::TOO_MANY_OPS,
        TxnRefused::DuplicateKey => EtcdError::DUPLICATE_KEY,
        TxnRefused::ValueProvided => EtcdError::VALUE_PROVIDED,
        TxnRefused::LeaseProvided => EtcdError::LEASE_PROVIDED,
        TxnRefused::KeyNotFound => EtcdError::KEY_NOT_FOUND,
        TxnRefused::InvalidSort => EtcdError::INVALID_SORT_OPTION,
    }
}
