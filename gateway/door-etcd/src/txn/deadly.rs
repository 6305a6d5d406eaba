//! Transactions that kill etcd for good.
//!
//! A put with `ignore_value` or `ignore_lease` of a key that the same transaction has deleted before
//! finds nothing to keep; etcd (3.4.23 and 3.6.16, measured) panics while it applies that, and again
//! at each restart, on every member. etcd's own check refuses puts of deleted keys, but takes a
//! delete from a key on (`range_end` a zero byte) for an empty range. So this is looked for here, as
//! etcd runs a transaction: operations in order, nested ones in their place, either branch of those.
//! A put before the delete, or a plain one after it, does no harm and is not ours to refuse.

use meridian_keyspace::{
    SpanEnd,
    txn::{DeleteOp, Op, PutOp, Txn},
};

/// The first key of those deleted so far.
type Deleted<'a> = Option<&'a [u8]>;

/// What must not go home.
struct Deadly;

/// Whether one of its branches would kill etcd.
pub(super) fn is_deadly(txn: &Txn) -> bool {
    after(txn, None).is_err()
}

/// What may be deleted after a transaction, given what was before.
fn after<'a>(txn: &'a Txn, before: Deleted<'a>) -> Result<Deleted<'a>, Deadly> {
    let success = run(&txn.success, before)?;
    let failure = run(&txn.failure, before)?;
    Ok(lower(success, failure))
}

fn run<'a>(ops: &'a [Op], before: Deleted<'a>) -> Result<Deleted<'a>, Deadly> {
    let mut deleted = before;
    for op in ops {
        match op {
            Op::Delete(delete) => deleted = lower(deleted, from_key(delete)),
            Op::Put(put) if keeps(put) && deleted.is_some_and(|first| first <= &put.key[..]) => {
                return Err(Deadly);
            }
            Op::Txn(txn) => deleted = after(txn, deleted)?,
            Op::Put(_) | Op::Range(_) | Op::Refused(_) => {}
        }
    }
    Ok(deleted)
}

fn keeps(put: &PutOp) -> bool {
    put.ignore_value || put.ignore_lease
}

/// Where a delete begins that has no end.
fn from_key(delete: &DeleteOp) -> Deleted<'_> {
    let span = delete.range.span();
    match span.end {
        SpanEnd::Unbounded => Some(span.start),
        SpanEnd::Single | SpanEnd::Before(_) => None,
    }
}

fn lower<'a>(one: Deleted<'a>, other: Deleted<'a>) -> Deleted<'a> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (found, None) | (None, found) => found,
    }
}

#[cfg(test)]
mod tests;
