//! Transactions: what they ask and answer, and their evaluation.
//!
//! Invariant: a transaction is one atomic step. All its compares, nested ones too, see the state
//! before it; its operations run in order and each sees what the ones before it wrote; if one of
//! them fails, nothing has changed. It uses a revision only if it changed something. It knows the
//! living leases only through a question.

mod check;
mod evaluate;
mod staged;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Change, Commit, KeyRange, Keyspace, LeaseId, RangeAnswer, RangeQuery, ReadError, Record,
    Revision, RevisionFilter, SortOrder, SortTarget,
};

pub use check::check;

/// A transaction: if all compares hold, the operations of `success`, else those of `failure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    /// What must hold.
    pub compare: Vec<Compare>,
    /// The operations if it does.
    pub success: Vec<Op>,
    /// The operations if it does not.
    pub failure: Vec<Op>,
}

/// A condition on every key of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compare {
    /// The keys; one in most compares.
    pub range: KeyRange,
    /// What of them is compared, and with what.
    pub target: CompareTarget,
    /// How theirs must stand to the given one.
    pub result: CompareResult,
}

/// What of a key is compared, and with what. A key that does not exist has zeros; its value
/// compares with nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CompareTarget {
    Version(i64),
    Create(i64),
    Mod(i64),
    Value(Bytes),
    Lease(i64),
}

/// How the key's side must stand to the given side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CompareResult {
    Equal,
    Greater,
    Less,
    NotEqual,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Op {
    Range(RangeOp),
    Put(PutOp),
    Delete(DeleteOp),
    Txn(Txn),
    /// What could not be read as an operation (an empty one, say); [`check`] refuses it when it
    /// comes to it, so that the first fault in etcd's order is the one reported.
    Refused(TxnRefused),
}

/// An owned [`RangeQuery`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RangeOp {
    pub range: KeyRange,
    /// The revision to read at. A negative one is the current one until the first compaction, and
    /// compacted then: etcd's turn, for ranges in transactions only.
    pub revision: Option<Revision>,
    pub limit: usize,
    pub sort_target: SortTarget,
    pub sort_order: SortOrder,
    pub filter: RevisionFilter,
    pub count_only: bool,
}

impl RangeOp {
    /// Reads all of `range`, in key order.
    pub fn of(range: KeyRange) -> Self {
        let RangeQuery {
            span: _,
            revision,
            limit,
            sort_target,
            sort_order,
            filter,
            count_only,
        } = RangeQuery::of(range.span());
        Self {
            revision,
            limit,
            sort_target,
            sort_order,
            filter,
            count_only,
            range,
        }
    }

    /// The query.
    pub fn query(&self) -> RangeQuery<'_> {
        let Self {
            range,
            revision,
            limit,
            sort_target,
            sort_order,
            filter,
            count_only,
        } = self;
        RangeQuery {
            span: range.span(),
            revision: *revision,
            limit: *limit,
            sort_target: *sort_target,
            sort_order: *sort_order,
            filter: *filter,
            count_only: *count_only,
        }
    }
}

/// Writes one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutOp {
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// The lease to attach it to, or none.
    pub lease: LeaseId,
    /// Whether the replaced record is answered.
    pub prev_kv: bool,
    /// Whether the key keeps its value; it must exist.
    pub ignore_value: bool,
    /// Whether the key keeps its lease; it must exist.
    pub ignore_lease: bool,
}

/// Deletes a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteOp {
    /// The keys.
    pub range: KeyRange,
    /// Whether the deleted records are answered.
    pub prev_kv: bool,
}

/// The answer to an [`Op`]. `revision` is what etcd puts in the operation's own header: the
/// transaction's revision from its first change on, before that the one it began at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum OpAnswer {
    Range {
        /// In the order of the answer.
        records: Vec<Record>,
        /// `current` stands for `revision`.
        answer: RangeAnswer,
    },
    Put {
        revision: Revision,
        /// The replaced record, if it was asked for.
        previous: Option<Record>,
    },
    Delete {
        revision: Revision,
        /// Keys deleted.
        deleted: i64,
        /// Their records in key order, if they were asked for.
        previous: Vec<Record>,
    },
    Txn(TxnAnswer),
}

/// The answer to a [`Txn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnAnswer {
    /// Whether all compares held.
    pub succeeded: bool,
    /// One answer for each operation that ran.
    pub answers: Vec<OpAnswer>,
}

/// What is wrong with a transaction, whatever the keyspace holds (but for
/// [`TxnRefused::KeyNotFound`], which may depend on it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TxnRefused {
    #[error("key is not provided")]
    EmptyKey,
    #[error("too many operations in txn request")]
    TooManyOps,
    #[error("duplicate key given in txn request")]
    DuplicateKey,
    #[error("value is provided")]
    ValueProvided,
    #[error("lease is provided")]
    LeaseProvided,
    /// A put keeps value or lease of a key that does not exist; or an operation is empty.
    #[error("key not found")]
    KeyNotFound,
    #[error("invalid sort option")]
    InvalidSort,
}

/// Why a transaction failed; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxnError {
    /// It can never succeed as it is.
    #[error(transparent)]
    Refused(#[from] TxnRefused),
    /// A range in it names a revision that cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A put names a lease that does not exist.
    #[error("requested lease not found")]
    LeaseNotFound,
}

impl Keyspace {
    /// Evaluates a transaction as it would run now, and what it would commit, if anything. It must
    /// have passed [`check`].
    ///
    /// # Errors
    /// As the transaction's own.
    pub fn plan(
        &self,
        txn: &Txn,
        lease_exists: &dyn Fn(LeaseId) -> bool,
    ) -> Result<(TxnAnswer, Option<Commit>), TxnError> {
        evaluate::plan(self, txn, lease_exists)
    }

    /// Answers a transaction that only reads; writes in it are evaluated and forgotten, and
    /// find no lease.
    ///
    /// # Errors
    /// As the transaction's own.
    pub fn evaluate(&self, txn: &Txn) -> Result<TxnAnswer, TxnError> {
        Ok(self.plan(txn, &|_| false)?.0)
    }

    /// Runs a transaction that has passed [`check`]. No revision is used if nothing changed.
    ///
    /// # Errors
    /// As the transaction's own; nothing has changed then.
    pub fn transact(
        &mut self,
        txn: &Txn,
        lease_exists: &dyn Fn(LeaseId) -> bool,
    ) -> Result<(TxnAnswer, Option<Arc<Change>>), TxnError> {
        let (answer, commit) = self.plan(txn, lease_exists)?;
        let change = commit.map(|commit| {
            self.apply(commit)
                .expect("the commit was planned on this very revision, as its next")
        });
        Ok((answer, change))
    }
}

impl Txn {
    /// Whether no operation of it, on either side and at any depth, can write.
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| match op {
            Op::Range(_) | Op::Refused(_) => true,
            Op::Put(_) | Op::Delete(_) => false,
            Op::Txn(txn) => txn.is_read_only(),
        })
    }
}

#[cfg(test)]
mod tests;
