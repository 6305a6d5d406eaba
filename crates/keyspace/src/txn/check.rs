//! What etcd refuses in a transaction before it looks at the keyspace, in etcd's order.
//!
//! Invariant: the first fault in that order is the one reported, and the work is about linear in
//! the size of the transaction. It knows no state.

use std::collections::{BTreeMap, HashSet};

use super::{DeleteOp, Op, PutOp, Txn, TxnRefused};
use crate::{KeyRange, KeySpan, SpanEnd};

/// Checks a transaction: number of operations, empty keys, contradictory puts, and keys that it
/// would write twice. Of nested transactions each takes what its parents have left of `max_ops`,
/// where a level counts as the longest of its three lists.
///
/// # Errors
/// The first fault in etcd's order.
pub fn check(txn: &Txn, max_ops: usize) -> Result<(), TxnRefused> {
    check_ops(txn, max_ops)?;
    // Afterwards, so that the work is bounded by `max_ops`.
    check_writes(&txn.success)?;
    check_writes(&txn.failure)?;
    Ok(())
}

fn check_ops(txn: &Txn, max_ops: usize) -> Result<(), TxnRefused> {
    let ops = txn
        .compare
        .len()
        .max(txn.success.len())
        .max(txn.failure.len());
    let left = max_ops.checked_sub(ops).ok_or(TxnRefused::TooManyOps)?;
    txn.compare
        .iter()
        .try_for_each(|compare| check_range(&compare.range))?;
    txn.success
        .iter()
        .chain(&txn.failure)
        .try_for_each(|op| match op {
            Op::Range(op) => check_range(&op.range),
            Op::Put(op) => check_put(op),
            Op::Delete(op) => check_range(&op.range),
            Op::Txn(txn) => check_ops(txn, left),
            Op::Refused(refused) => Err(*refused),
        })
}

fn check_range(range: &KeyRange) -> Result<(), TxnRefused> {
    if range.span().start.is_empty() {
        Err(TxnRefused::EmptyKey)
    } else {
        Ok(())
    }
}

fn check_put(op: &PutOp) -> Result<(), TxnRefused> {
    if op.key.is_empty() {
        Err(TxnRefused::EmptyKey)
    } else if op.ignore_value && !op.value.is_empty() {
        Err(TxnRefused::ValueProvided)
    } else if op.ignore_lease && !op.lease.is_none() {
        Err(TxnRefused::LeaseProvided)
    } else {
        Ok(())
    }
}

/// What a list of operations may write.
#[derive(Default)]
struct Writes<'a> {
    puts: HashSet<&'a [u8]>,
    deletes: Deletes<'a>,
}

impl<'a> Writes<'a> {
    fn check(&self, key: &[u8]) -> Result<(), TxnRefused> {
        if self.puts.contains(key) || self.deletes.contains(key) {
            Err(TxnRefused::DuplicateKey)
        } else {
            Ok(())
        }
    }

    /// Adds what a nested transaction may write: one of two lists, which may put the same keys.
    /// Its deletes do not meet the puts before it: etcd lets a later transaction delete what an
    /// earlier one put.
    fn add_nested(&mut self, success: Self, failure: Self) -> Result<(), TxnRefused> {
        success
            .puts
            .iter()
            .chain(&failure.puts)
            .try_for_each(|key| self.check(key))?;
        for writes in [success, failure] {
            self.puts.extend(writes.puts);
            self.deletes.extend(writes.deletes);
        }
        Ok(())
    }
}

/// Refuses a key that is put twice, or both put and deleted, where etcd does: this level's deletes
/// first, then the nested transactions one after another, then this level's puts.
fn check_writes(ops: &[Op]) -> Result<Writes<'_>, TxnRefused> {
    let mut writes = Writes::default();
    for op in ops {
        if let Op::Delete(DeleteOp { range, prev_kv: _ }) = op {
            writes.deletes.add(range.span());
        }
    }
    for op in ops {
        if let Op::Txn(txn) = op {
            writes.add_nested(check_writes(&txn.success)?, check_writes(&txn.failure)?)?;
        }
    }
    for op in ops {
        if let Op::Put(put) = op {
            writes.check(&put.key)?;
            writes.puts.insert(&put.key);
        }
    }
    Ok(writes)
}

/// A set of deleted keys: single ones, and ranges kept apart from each other.
#[derive(Default)]
struct Deletes<'a> {
    keys: HashSet<&'a [u8]>,
    /// End by start; disjoint.
    ranges: BTreeMap<&'a [u8], &'a [u8]>,
}

impl<'a> Deletes<'a> {
    fn add(&mut self, span: KeySpan<'a>) {
        match span.end {
            SpanEnd::Single => {
                self.keys.insert(span.start);
            }
            SpanEnd::Before(end) => self.add_range(span.start, end),
            // etcd takes the end, a zero byte, at its word here, so that the range is empty: a
            // transaction may delete from a key on and put a key there.
            SpanEnd::Unbounded => {}
        }
    }

    fn add_range(&mut self, mut start: &'a [u8], mut end: &'a [u8]) {
        if start >= end {
            return;
        }
        // Ranges that begin at or before our end and reach our start melt into ours.
        while let Some((other, until)) =
            self.ranges.range(..=end).next_back().map(|(k, v)| (*k, *v))
        {
            if until < start {
                break;
            }
            self.ranges.remove(other);
            (start, end) = (start.min(other), end.max(until));
        }
        self.ranges.insert(start, end);
    }

    fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        for (start, end) in other.ranges {
            self.add_range(start, end);
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        let before = self.ranges.range(..=key).next_back();
        self.keys.contains(key) || before.is_some_and(|(_, end)| key < *end)
    }
}
