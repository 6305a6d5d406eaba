//! The writer's own keyspace, one batch ahead of what readers see.
//!
//! Owns the evaluation of writes: each on top of those before it, durable or not. Invariant: every
//! change made here is among the steps handed out, in order. It writes no disk and answers nobody.

use meridian_etcd_api::EtcdError;
use meridian_keyspace::{
    Change, KeyRange, Keyspace, LeaseId, Revision,
    lease::Leases,
    txn::{DeleteOp, Op, Txn},
};
use std::{sync::Arc, time::Duration};

use super::{
    disk::Step,
    job::{Granted, TxnDone},
    published::follow_change,
    refuse,
};

/// etcd's bounds on a TTL, in seconds: the least is one and a half election timeouts of a second,
/// rounded up.
const TTL_SECS_MIN: i64 = 2;
const TTL_SECS_MAX: i64 = 9_000_000_000;

/// Time stands still here: only which leases exist matters.
const NO_TIME: Duration = Duration::ZERO;

pub(super) struct Head {
    keyspace: Keyspace,
    leases: Leases,
    compacted: i64,
    steps: Vec<Step>,
}

impl Head {
    pub(super) fn new(keyspace: Keyspace, leases: Leases, compacted: i64) -> Self {
        Self {
            keyspace,
            leases,
            compacted,
            steps: Vec::new(),
        }
    }

    pub(super) fn revision(&self) -> Revision {
        self.keyspace.revision()
    }

    /// The steps since the last call, in order.
    pub(super) fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// One operation outside any transaction. A put's lease is looked at before its key, as etcd
    /// does; inside a transaction it is the other way round.
    pub(super) fn single(&mut self, op: Op) -> Result<TxnDone, EtcdError> {
        if let Op::Put(put) = &op
            && !put.lease.is_none()
            && !self.leases.exists(put.lease)
        {
            return Err(EtcdError::LEASE_NOT_FOUND);
        }
        self.transact(&alone(op))
    }

    pub(super) fn transact(&mut self, txn: &Txn) -> Result<TxnDone, EtcdError> {
        let leases = &self.leases;
        let (answer, change) = self
            .keyspace
            .transact(txn, &|id| leases.exists(id))
            .map_err(refuse::txn)?;
        if let Some(change) = change {
            self.keep(change);
        }
        Ok(TxnDone {
            answer,
            revision: self.revision(),
        })
    }

    pub(super) fn compact(&mut self, revision: i64) -> Result<Revision, EtcdError> {
        if revision <= self.compacted {
            return Err(EtcdError::COMPACTED);
        }
        if revision > self.revision().get() {
            return Err(EtcdError::FUTURE_REVISION);
        }
        self.compacted = revision;
        self.keyspace.compact(Revision::new(revision));
        self.steps.push(Step::Compact(revision));
        Ok(self.revision())
    }

    /// Grants a lease; id zero takes a free one.
    pub(super) fn grant(&mut self, id: LeaseId, ttl_secs: i64) -> Result<Granted, EtcdError> {
        if ttl_secs > TTL_SECS_MAX {
            return Err(EtcdError::LEASE_TTL_TOO_LARGE);
        }
        let id = if id.is_none() { self.free_id() } else { id };
        let ttl_secs = ttl_secs.max(TTL_SECS_MIN);
        self.leases
            .grant(id, ttl_secs, NO_TIME)
            .map_err(|_| EtcdError::LEASE_EXISTS)?;
        self.steps.push(Step::Grant { id, ttl_secs });
        Ok(Granted {
            id,
            ttl_secs,
            revision: self.revision(),
        })
    }

    /// Ends a lease and deletes its keys, in key order, in one revision.
    pub(super) fn revoke(&mut self, id: LeaseId) -> Result<Revision, EtcdError> {
        if !self.leases.exists(id) {
            return Err(EtcdError::LEASE_NOT_FOUND);
        }
        let deletes = self.leases.keys(id).map(|key| {
            Op::Delete(DeleteOp {
                range: KeyRange::from_wire(key, &[]),
                prev_kv: false,
            })
        });
        let txn = Txn {
            compare: Vec::new(),
            success: deletes.collect(),
            failure: Vec::new(),
        };
        self.transact(&txn)?;
        self.leases.revoke(id);
        self.steps.push(Step::Revoke(id));
        Ok(self.revision())
    }

    pub(super) fn expire(&mut self, ids: &[LeaseId]) -> Result<Revision, EtcdError> {
        for id in ids {
            if self.leases.exists(*id) {
                self.revoke(*id)?;
            }
        }
        Ok(self.revision())
    }

    fn keep(&mut self, change: Arc<Change>) {
        follow_change(&mut self.leases, &change);
        self.steps.push(Step::Commit(change));
    }

    fn free_id(&self) -> LeaseId {
        std::iter::repeat_with(|| LeaseId::new(fastrand::i64(1..)))
            .find(|id| !self.leases.exists(*id))
            .expect("2^63 ids outnumber the leases in memory")
    }
}

/// The transaction that does just `op`.
pub(super) fn alone(op: Op) -> Txn {
    Txn {
        compare: Vec::new(),
        success: vec![op],
        failure: Vec::new(),
    }
}
