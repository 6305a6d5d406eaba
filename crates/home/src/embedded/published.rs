//! What readers see: the keyspace and the leases as they are on disk.
//!
//! Invariant: nothing is here before it is durable, and a write is answered only after it is here;
//! so a read that begins after an answer sees that write. Only the writer changes it, except for
//! the expiry times of leases, which a keepalive moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use meridian_keyspace::{Change, Commit, LeaseId, Revision, SharedKeyspace, lease::Leases};
use meridian_runtime::Level;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::disk::{Identity, Step};
use crate::Facts;

pub(super) struct Published {
    pub(super) identity: Identity,
    pub(super) keyspace: Arc<SharedKeyspace>,
    pub(super) leases: Mutex<Leases>,
    /// The revision of `keyspace`, to wait on.
    pub(super) reached: Level,
    /// Position of the last step.
    pub(super) index: AtomicU64,
    pub(super) file_bytes: AtomicU64,
    pub(super) stored_bytes: AtomicU64,
    /// Told when a lease may run out earlier than was known.
    pub(super) lease_granted: Notify,
    started: Instant,
    /// Transactions on disk.
    #[cfg(test)]
    pub(super) commits: AtomicU64,
}

impl Published {
    /// What was recovered; leases have their full TTL from now on.
    pub(super) fn new(
        identity: Identity,
        keyspace: Arc<SharedKeyspace>,
        leases: Leases,
        index: u64,
    ) -> Self {
        let reached = Level::new(keyspace.revision().get());
        Self {
            identity,
            keyspace,
            leases: Mutex::new(leases),
            reached,
            index: AtomicU64::new(index),
            file_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            lease_granted: Notify::new(),
            started: Instant::now(),
            #[cfg(test)]
            commits: AtomicU64::new(0),
        }
    }

    /// Now, on the clock that leases run on.
    pub(super) fn lease_clock(&self) -> Duration {
        self.started.elapsed()
    }

    /// When the lease clock shows `at`.
    pub(super) fn instant_of(&self, at: Duration) -> Instant {
        self.started
            .checked_add(at)
            .unwrap_or_else(|| self.started + FAR)
    }

    pub(super) fn facts(&self) -> Facts {
        self.facts_at(self.keyspace.revision())
    }

    pub(super) fn facts_at(&self, revision: Revision) -> Facts {
        let Identity {
            cluster_id,
            member_id,
            raft_term,
        } = self.identity;
        Facts {
            cluster_id,
            member_id,
            raft_term,
            revision,
        }
    }

    /// Lets readers see steps that are now durable.
    pub(super) fn publish(&self, steps: &[Step], index: u64) {
        for step in steps {
            match step {
                Step::Commit(change) => {
                    self.keyspace
                        .apply(commit_of(change))
                        .expect("the writer publishes revisions in order");
                    follow_change(&mut self.leases.lock(), change);
                }
                Step::Grant { id, ttl_secs } => {
                    let now = self.lease_clock();
                    let granted = self.leases.lock().grant(*id, *ttl_secs, now);
                    granted.expect("the writer grants free ids only");
                    self.lease_granted.notify_one();
                }
                Step::Revoke(id) => {
                    self.leases.lock().revoke(*id);
                }
                Step::Compact(revision) => self.keyspace.compact(Revision::new(*revision)),
            }
        }
        self.index.store(index, Ordering::Release);
        #[cfg(test)]
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.reached.set(self.keyspace.revision().get());
    }

    /// Waits until the published revision is at or above `mark`, however long it takes.
    pub(super) async fn wait_for(&self, mark: Revision) {
        while self
            .reached
            .reached(mark.get(), Instant::now() + FAR)
            .await
            .is_err()
        {}
    }
}

/// A deadline that only bounds one wait of a loop.
const FAR: Duration = Duration::from_secs(3600);

/// Attaches and detaches keys as the change says.
pub(super) fn follow_change(leases: &mut Leases, change: &Change) {
    for event in &change.events {
        let fields = event.record.fields();
        if fields.lease.is_none() {
            leases.detach(fields.key);
        } else {
            attach(leases, fields.key, fields.lease);
        }
    }
}

/// A put is evaluated with its lease present, and a revoke deletes the lease's keys first.
pub(super) fn attach(leases: &mut Leases, key: &[u8], lease: LeaseId) {
    leases
        .attach(key, lease)
        .expect("a key in the keyspace has a lease that exists");
}

fn commit_of(change: &Change) -> Commit {
    let records = change
        .events
        .iter()
        .map(|event| event.record.clone())
        .collect();
    Commit {
        revision: change.revision,
        records,
    }
}
