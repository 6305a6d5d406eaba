//! What the writer is asked to do, and who waits for it.
//!
//! Invariant: a waiting caller is answered after its change is durable and published, or, if the
//! writer stops first, learns that the outcome is unknown. Waiting payloads are bounded in bytes.

use meridian_etcd_api::EtcdError;
use meridian_keyspace::{
    LeaseId, Revision,
    txn::{Op, Txn, TxnAnswer},
};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Where an answer goes.
pub(super) type Answer<T> = oneshot::Sender<Result<T, EtcdError>>;

/// One task for the writer.
pub(super) enum Job {
    /// One operation outside any transaction.
    Single(Op, Answer<TxnDone>),
    Txn(Txn, Answer<TxnDone>),
    Compact {
        revision: i64,
        physical: bool,
        answer: Answer<Revision>,
    },
    Grant {
        id: LeaseId,
        ttl_secs: i64,
        answer: Answer<Granted>,
    },
    Revoke(LeaseId, Answer<Revision>),
    /// Revokes those that are still there.
    Expire(Vec<LeaseId>, Answer<Revision>),
    Disk(DiskJob),
}

/// What needs the file to itself.
pub(super) enum DiskJob {
    Hash(Answer<(u32, Revision)>),
    HashKv {
        revision: i64,
        answer: Answer<KvHash>,
    },
    Defragment(Answer<()>),
}

#[derive(Debug)]
pub(super) struct TxnDone {
    pub(super) answer: TxnAnswer,
    /// The keyspace's revision after it.
    pub(super) revision: Revision,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub(super) id: LeaseId,
    pub(super) ttl_secs: i64,
    pub(super) revision: Revision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KvHash {
    pub(super) hash: u32,
    pub(super) compacted: i64,
    pub(super) hash_revision: i64,
    pub(super) revision: Revision,
}

/// A job in the queue, holding its share of the queue's bytes until it is done.
pub(super) struct Queued {
    pub(super) job: Job,
    pub(super) _bytes: OwnedSemaphorePermit,
}
