//! `KV.Txn`: here if it only reads, at home if it may write.
//!
//! Invariants: a transaction with any write goes home whole, its bytes untouched; one that would kill
//! the home does not go at all.

mod answer;
mod deadly;
mod request;

use bytes::Bytes;
use meridian_engine::{Admitted, View};
use meridian_etcd_api::{EtcdError, etcdserverpb::TxnRequest};
use meridian_keyspace::txn::{self, Txn, TxnError, TxnRefused};
use prost::Message;

use crate::{
    call::{Answered, Call},
    failure::{Failure, Unread},
    forward, read, wire,
};

/// etcd's default `--max-txn-ops`.
const OPS_MAX: usize = 128;

/// Answers a `Txn`.
///
/// # Errors
/// As etcd's.
pub(crate) async fn answer(call: &Call<'_>, message: Bytes) -> Result<Answered, Failure> {
    let request =
        TxnRequest::decode(message.clone()).map_err(|error| Failure::unmarshal(&error))?;
    let txn = request::txn_of(&request);
    if !txn.is_read_only() {
        return write(call, &txn, message).await;
    }
    txn::check(&txn, OPS_MAX).map_err(refused)?;
    if !request::is_light(&request) {
        return forward::unary(call, message).await;
    }
    let terms = call.read_terms(request::is_serializable(&request));
    match read::admit(call, terms).await? {
        Admitted::Forward => forward::unary(call, message).await,
        Admitted::Local(view) => match evaluate(&view, &txn, &request) {
            Ok((frame, revision)) => {
                call.connection.shown(revision);
                Ok(Answered {
                    frame,
                    served: read::local(&view),
                })
            }
            Err(Unread::AskHome) => forward::unary(call, message).await,
            Err(Unread::Failed(failure)) => Err(failure),
        },
    }
}

/// A transaction that may write goes home, unless it would kill it: etcd 3.4 dies of a sort target
/// that it does not know, and every etcd of what [`deadly`] finds, which is refused as etcd refuses
/// the same with a bounded delete.
async fn write(call: &Call<'_>, txn: &Txn, message: Bytes) -> Result<Answered, Failure> {
    let deadly = deadly::is_deadly(txn);
    if deadly || request::has_unknown_sort(txn) {
        txn::check(txn, OPS_MAX).map_err(refused)?;
    }
    if deadly {
        return Err(refused(TxnRefused::DuplicateKey));
    }
    forward::unary(call, message).await
}

/// One lock for the whole of it: at most [`OPS_MAX`] light reads at one revision.
fn evaluate(
    view: &View,
    txn: &Txn,
    request: &TxnRequest,
) -> Result<(Bytes, meridian_keyspace::Revision), Unread> {
    let (evaluated, revision) = view
        .keyspace
        .read(|keyspace| (keyspace.evaluate(txn), keyspace.revision()));
    let evaluated = evaluated.map_err(unread)?;
    let mut facts = view.facts;
    facts.revision = revision;
    Ok((
        wire::framed(&answer::response(&facts, &evaluated, request)),
        revision,
    ))
}

fn unread(error: TxnError) -> Unread {
    match error {
        TxnError::Refused(refusal) => Unread::Failed(refused(refusal)),
        TxnError::Read(error) => error.into(),
        TxnError::LeaseNotFound => Unread::Failed(EtcdError::LEASE_NOT_FOUND.into()),
    }
}

fn refused(refusal: TxnRefused) -> Failure {
    let error = match refusal {
        TxnRefused::EmptyKey => EtcdError::EMPTY_KEY,
        TxnRefused::TooManyOps => EtcdError::TOO_MANY_OPS,
        TxnRefused::DuplicateKey => EtcdError::DUPLICATE_KEY,
        TxnRefused::ValueProvided => EtcdError::VALUE_PROVIDED,
        TxnRefused::LeaseProvided => EtcdError::LEASE_PROVIDED,
        TxnRefused::KeyNotFound => EtcdError::KEY_NOT_FOUND,
        TxnRefused::InvalidSort => EtcdError::INVALID_SORT_OPTION,
    };
    error.into()
}

#[cfg(test)]
mod tests;
