//! Waiting one's turn under a prefix: what locks and elections have in common.
//!
//! A candidate is a key under the prefix, named by its lease; the one created first holds. Each
//! waits for those created before it. Invariant: a candidate whose caller goes away while it waits
//! is withdrawn, unless it was created anew since.

use std::sync::Arc;

use bytes::Bytes;
use meridian_keyspace::{
    KeyRange, LeaseId, RangeQuery, Record, Revision, SortOrder, SortTarget,
    shared::Step,
    txn::{
        Compare, CompareResult, CompareTarget, DeleteOp, Op, OpAnswer, PutOp, RangeOp, Txn, check,
    },
};

use tokio::sync::oneshot;

use super::{
    job::{Job, TxnDone},
    lease,
    node::{Node, TXN_OPS_MAX, check_size},
    refuse,
};
use crate::CallError;

/// What etcd grants a caller that brings no lease.
const SESSION_TTL_SECS: i64 = 60;

/// The lease that a caller's keys hang on: its own, renewed now, or a new one.
pub(super) async fn session(node: &Node, lease: i64) -> Result<LeaseId, CallError> {
    if lease == 0 {
        let granted = lease::grant_of(node, LeaseId::NONE, SESSION_TTL_SECS).await;
        return granted.map(|granted| granted.id).map_err(refuse::hide_code);
    }
    let lease = LeaseId::new(lease);
    lease::renew(node, lease);
    Ok(lease)
}

/// The range of all candidates of a name.
pub(super) fn prefix(name: &[u8]) -> KeyRange {
    let start = [name, b"/"].concat();
    // The prefix ends with '/', so its last byte can be raised.
    let end = [name, b"0"].concat();
    KeyRange::from_wire(&start, &end)
}

/// A candidate that stands in the queue. Dropped before [`Candidate::stay`], it is withdrawn.
pub(super) struct Candidate {
    node: Arc<Node>,
    prefix: KeyRange,
    pub(super) key: Bytes,
    pub(super) lease: LeaseId,
    /// The key's create revision: its place in the queue.
    pub(super) created: Revision,
    /// The revision of the answer with which it entered.
    pub(super) entered: Revision,
    /// The record that stood there already, if the lease had a candidate.
    pub(super) found: Option<Record>,
    stays: bool,
}

impl Candidate {
    /// Enters the queue, or finds the place that the lease has in it already. A task of its own does
    /// it, so that a caller who goes away meanwhile is withdrawn as one who waits is.
    pub(super) async fn enter(
        node: &Arc<Node>,
        name: &[u8],
        lease: LeaseId,
        value: Bytes,
    ) -> Result<Self, CallError> {
        let (entered, candidate) = oneshot::channel();
        let entering = Self::enter_now(Arc::clone(node), prefix(name), lease, value);
        node.tasks.spawn("enter queue", async move {
            // What nobody takes is dropped here, which withdraws it.
            let _ = entered.send(entering.await);
        });
        candidate.await.unwrap_or_else(|_| Err(refuse::stopped()))
    }

    async fn enter_now(
        node: Arc<Node>,
        prefix: KeyRange,
        lease: LeaseId,
        value: Bytes,
    ) -> Result<Self, CallError> {
        let key = Bytes::from([prefix.span().start, hex(lease).as_bytes()].concat());
        let put = PutOp {
            key: key.clone(),
            value,
            lease,
            ..PutOp::default()
        };
        let txn = Txn {
            compare: vec![created_at(&key, Revision::ZERO)],
            success: vec![Op::Put(put)],
            failure: vec![Op::Range(RangeOp::of(KeyRange::from_wire(&key, &[])))],
        };
        let mut done = run(&node, txn).await?;
        let found = match done.answer.answers.pop() {
            Some(OpAnswer::Range {
                mut records,
                answer: _,
            }) => records.pop(),
            Some(OpAnswer::Put { .. } | OpAnswer::Delete { .. } | OpAnswer::Txn(_)) | None => None,
        };
        let entered = done.revision;
        let created = found
            .as_ref()
            .map_or(entered, |record| record.fields().create_revision);
        Ok(Self {
            node,
            prefix,
            key,
            lease,
            created,
            entered,
            found,
            stays: false,
        })
    }

    /// Waits until every candidate created before this one is gone; answers whether it had to.
    /// Cancel-safe.
    pub(super) async fn wait_turn(&self) -> Result<bool, CallError> {
        let before = self.created.previous();
        let mut waited = false;
        while let Some(ahead) = self.last_created(before).await? {
            waited = true;
            self.wait_gone(ahead.key(), before).await;
        }
        Ok(waited)
    }

    /// Leaves the candidate in the queue.
    pub(super) fn stay(mut self) {
        self.stays = true;
    }

    /// The candidate created last, at or before `until`.
    async fn last_created(&self, until: Revision) -> Result<Option<Record>, CallError> {
        let mut query = RangeQuery::of(self.prefix.span());
        query.sort_target = SortTarget::Create;
        query.sort_order = SortOrder::Descend;
        query.limit = 1;
        query.filter.max_create = until.get();
        first(&self.node, query).await
    }

    async fn wait_gone(&self, key: &[u8], until: Revision) {
        loop {
            let seen = self.node.published.keyspace.revision();
            let current = super::kv::get(&self.node, key);
            if current.is_none_or(|record| record.fields().create_revision > until) {
                return;
            }
            self.node.published.wait_for(seen.next()).await;
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        let (node, key, created) = (Arc::clone(&self.node), self.key.clone(), self.created);
        self.node.tasks.spawn("withdraw", async move {
            // The key's lease ends it if the home stops first.
            let _ = delete_if_created_at(&node, &key, created).await;
        });
    }
}

/// The candidate that holds: the one created first.
pub(super) async fn holder(node: &Node, prefix: &KeyRange) -> Result<Option<Record>, CallError> {
    let mut query = RangeQuery::of(prefix.span());
    query.sort_target = SortTarget::Create;
    query.sort_order = SortOrder::Ascend;
    query.limit = 1;
    first(node, query).await
}

async fn first(node: &Node, query: RangeQuery<'_>) -> Result<Option<Record>, CallError> {
    let scan = node.published.keyspace.scan(query);
    let mut scan = scan.map_err(|error| refuse::without_code(refuse::read(error)))?;
    let mut found = None;
    while scan.step(&mut |record| found = Some(record.clone())) == Step::More {
        tokio::task::yield_now().await;
    }
    Ok(found)
}

/// Puts a value if the key is still the one created at `created`; answers whether it was.
pub(super) async fn put_if_created_at(
    node: &Node,
    created: Revision,
    put: PutOp,
) -> Result<(bool, Revision), CallError> {
    let compare = vec![created_at(&put.key, created)];
    let txn = Txn {
        compare,
        success: vec![Op::Put(put)],
        failure: Vec::new(),
    };
    run(node, txn)
        .await
        .map(|done| (done.answer.succeeded, done.revision))
}

/// Deletes the key if it is still the one created at `created`.
pub(super) async fn delete_if_created_at(
    node: &Node,
    key: &[u8],
    created: Revision,
) -> Result<Revision, CallError> {
    let delete = DeleteOp {
        range: KeyRange::from_wire(key, &[]),
        prev_kv: false,
    };
    let compare = vec![created_at(key, created)];
    let txn = Txn {
        compare,
        success: vec![Op::Delete(delete)],
        failure: Vec::new(),
    };
    run(node, txn).await.map(|done| done.revision)
}

/// Runs a transaction through the writer; etcd's errors come without their code, as these services
/// pass them on.
async fn run(node: &Node, txn: Txn) -> Result<TxnDone, CallError> {
    check(&txn, TXN_OPS_MAX).map_err(|refused| refuse::without_code(refuse::check(refused)))?;
    let bytes = txn.success.iter().map(payload).sum();
    check_size(bytes).map_err(refuse::without_code)?;
    node.submit(bytes, |answer| Job::Txn(txn, answer))
        .await?
        .map_err(refuse::without_code)
}

fn payload(op: &Op) -> usize {
    match op {
        Op::Put(put) => put.key.len() + put.value.len(),
        Op::Range(_) | Op::Delete(_) | Op::Txn(_) | Op::Refused(_) => 1,
    }
}

fn created_at(key: &[u8], revision: Revision) -> Compare {
    Compare {
        range: KeyRange::from_wire(key, &[]),
        target: CompareTarget::Create(revision.get()),
        result: CompareResult::Equal,
    }
}

/// The lease's id as these services name keys by it: signed hexadecimal.
fn hex(lease: LeaseId) -> String {
    let id = lease.get();
    let sign = if id < 0 { "-" } else { "" };
    format!("{sign}{:x}", id.unsigned_abs())
}

/// The text for a lock whose lease ended while it waited.
pub(super) fn session_expired() -> CallError {
    refuse::unknown("mutex: session is expired")
}
