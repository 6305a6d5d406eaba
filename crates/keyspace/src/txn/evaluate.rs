//! Runs a transaction on a staged view.
//!
//! Invariant: compares, and what etcd checks of an operation beforehand, see the state before the
//! transaction. It changes nothing outside the view.

use std::cmp::Ordering;

use super::{
    Compare, CompareResult, CompareTarget, DeleteOp, Op, OpAnswer, PutOp, RangeOp, Txn, TxnAnswer,
    TxnError, TxnRefused, staged::Staged,
};
use crate::{Commit, Keyspace, LeaseId, ReadError, Record, Revision, record::Fields};

type LeaseExists<'a> = &'a dyn Fn(LeaseId) -> bool;

pub(super) fn plan(
    keyspace: &Keyspace,
    txn: &Txn,
    lease_exists: LeaseExists<'_>,
) -> Result<(TxnAnswer, Option<Commit>), TxnError> {
    let mut staged = Staged::new(keyspace);
    let answer = run(&mut staged, txn, lease_exists)?;
    Ok((answer, staged.into_commit()))
}

fn run(
    staged: &mut Staged<'_>,
    txn: &Txn,
    lease_exists: LeaseExists<'_>,
) -> Result<TxnAnswer, TxnError> {
    let succeeded = txn
        .compare
        .iter()
        .all(|compare| holds(staged.base(), compare));
    let ops = if succeeded {
        &txn.success
    } else {
        &txn.failure
    };
    let answers = ops.iter().map(|op| match op {
        Op::Range(op) => range(staged, op),
        Op::Put(op) => put(staged, op, lease_exists),
        Op::Delete(op) => Ok(delete(staged, op)),
        Op::Txn(txn) => run(staged, txn, lease_exists).map(OpAnswer::Txn),
        Op::Refused(refused) => Err((*refused).into()),
    });
    Ok(TxnAnswer {
        succeeded,
        answers: answers.collect::<Result<_, _>>()?,
    })
}

fn holds(keyspace: &Keyspace, compare: &Compare) -> bool {
    let of_missing = || match &compare.target {
        // A missing value and an empty one look the same on the wire; etcd fails the compare.
        CompareTarget::Value(_) => false,
        CompareTarget::Version(_)
        | CompareTarget::Create(_)
        | CompareTarget::Mod(_)
        | CompareTarget::Lease(_) => fulfils(Fields::default(), compare),
    };
    let of_record = |record: &Record| fulfils(record.fields(), compare);
    keyspace
        .all(&compare.range.span(), of_record)
        .unwrap_or_else(of_missing)
}

fn fulfils(fields: Fields<'_>, compare: &Compare) -> bool {
    let order = match &compare.target {
        CompareTarget::Version(version) => fields.version.cmp(version),
        CompareTarget::Create(revision) => fields.create_revision.get().cmp(revision),
        CompareTarget::Mod(revision) => fields.mod_revision.get().cmp(revision),
        CompareTarget::Value(value) => fields.value.cmp(value),
        CompareTarget::Lease(lease) => fields.lease.get().cmp(lease),
    };
    match compare.result {
        CompareResult::Equal => order == Ordering::Equal,
        CompareResult::Greater => order == Ordering::Greater,
        CompareResult::Less => order == Ordering::Less,
        CompareResult::NotEqual => order != Ordering::Equal,
    }
}

fn range(staged: &Staged<'_>, op: &RangeOp) -> Result<OpAnswer, TxnError> {
    let mut query = op.query();
    query.revision = readable(staged.base(), op.revision)?;
    let (records, answer) = staged.range(&query)?;
    Ok(OpAnswer::Range { records, answer })
}

/// etcd's check of a range's revision before a transaction runs: the transaction's own revision is
/// in the future, and a negative one is compared like a number, where "nothing compacted" is -1.
fn readable(
    keyspace: &Keyspace,
    revision: Option<Revision>,
) -> Result<Option<Revision>, ReadError> {
    let Some(revision) = revision.filter(|revision| *revision != Revision::ZERO) else {
        return Ok(None);
    };
    let compacted = keyspace.compacted();
    if compacted == Revision::ZERO && revision == Revision::new(-1) {
        return Ok(None);
    }
    if revision < Revision::ZERO {
        return Err(ReadError::Compacted { compacted });
    }
    Ok(Some(revision))
}

fn put(
    staged: &mut Staged<'_>,
    op: &PutOp,
    lease_exists: LeaseExists<'_>,
) -> Result<OpAnswer, TxnError> {
    let PutOp {
        key,
        value,
        lease,
        prev_kv,
        ignore_value,
        ignore_lease,
    } = op;
    let keeps = *ignore_value || *ignore_lease;
    if keeps && staged.base().get(key).is_none() {
        return Err(TxnRefused::KeyNotFound.into());
    }
    if !lease.is_none() && !lease_exists(*lease) {
        return Err(TxnError::LeaseNotFound);
    }
    let previous = staged.get(key).cloned();
    let kept = previous.as_ref().map(Record::fields);
    if keeps && kept.is_none() {
        // The transaction itself has deleted the key before.
        return Err(TxnRefused::KeyNotFound.into());
    }
    let kept = kept.unwrap_or_default();
    staged.put(Fields {
        key,
        value: if *ignore_value { kept.value } else { value },
        lease: if *ignore_lease { kept.lease } else { *lease },
        ..Fields::default()
    });
    Ok(OpAnswer::Put {
        revision: staged.revision(),
        previous: previous.filter(|_| *prev_kv),
    })
}

fn delete(staged: &mut Staged<'_>, op: &DeleteOp) -> OpAnswer {
    let DeleteOp { range, prev_kv } = op;
    let live = staged.live(&range.span());
    live.iter().for_each(|record| staged.delete(record.key()));
    OpAnswer::Delete {
        revision: staged.revision(),
        deleted: live.len() as i64,
        previous: if *prev_kv { live } else { Vec::new() },
    }
}
