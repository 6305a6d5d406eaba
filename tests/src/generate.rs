//! Random requests from a seed: legal ones, odd ones and wrong ones, over few keys, so that they meet.
//!
//! Left out is what not every release of etcd lives through, and what depends on the time of day. etcd 3.4.23
//! ends at an unknown sort target. Every etcd, 3.6.16 too, ends at a Txn that deletes a key by a range "to the
//! last key" and then puts it with `ignore_value` or `ignore_lease`: such a range is not seen to overlap the
//! put, and the put then fails among changes that are already made.

use bytes::Bytes;
use fastrand::Rng;
use meridian_etcd_api::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseLeasesRequest,
    LeaseRevokeRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    WatchCreateRequest, compare::TargetUnion, request_op::Request,
};

use crate::watching::prefix_end;

/// One request.
#[derive(Clone, Debug)]
pub enum Step {
    /// A read.
    Range(RangeRequest),
    /// A write.
    Put(PutRequest),
    /// A deletion.
    Delete(DeleteRangeRequest),
    /// A transaction.
    Txn(TxnRequest),
    /// The end of old history.
    Compact(CompactionRequest),
    /// A lease, with an id of our choice.
    Grant(LeaseGrantRequest),
    /// The end of a lease.
    Revoke(LeaseRevokeRequest),
    /// A look at a lease.
    TimeToLive(LeaseTimeToLiveRequest),
    /// A look at all leases.
    Leases(LeaseLeasesRequest),
}

const KEYS: [&[u8]; 10] = [
    b"a",
    b"aa",
    b"ab",
    b"b",
    b"b\0",
    b"ba",
    b"c",
    b"\x01",
    b"\xff",
    b"\xff\xff",
];

const LEASES: i64 = 5;

/// A source of requests; the same seed gives the same ones, as long as it is told the same revisions.
#[derive(Debug)]
pub struct Source {
    rng: Rng,
    /// The newest revision seen in an answer.
    pub revision: i64,
}

impl Source {
    /// A source of this seed, for an empty keyspace.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            revision: 1,
        }
    }

    /// The next request.
    pub fn step(&mut self) -> Step {
        match self.rng.u8(0..100) {
            0..32 => Step::Range(self.range()),
            32..58 => Step::Put(self.put()),
            58..68 => Step::Delete(self.delete()),
            68..86 => Step::Txn(survivable(self.txn(2))),
            86..88 => Step::Compact(self.compaction()),
            88..92 => Step::Grant(LeaseGrantRequest {
                ttl: self.rng.i64(500..1000),
                id: self.lease(),
            }),
            92..95 => Step::Revoke(LeaseRevokeRequest { id: self.lease() }),
            95..98 => Step::TimeToLive(LeaseTimeToLiveRequest {
                id: self.lease(),
                keys: self.rng.bool(),
            }),
            _ => Step::Leases(LeaseLeasesRequest {}),
        }
    }

    /// A watch from now on.
    pub fn watch(&mut self) -> WatchCreateRequest {
        let (key, range_end) = self.span();
        let filters = (0..2).filter(|_| self.rng.u8(0..4) == 0).collect();
        // An empty span is refused, and then there is nothing to compare.
        let key = if key.is_empty() {
            Bytes::from_static(b"a")
        } else {
            key
        };
        let is_empty = range_end != b"\0"[..] && range_end <= key;
        let range_end = if is_empty { Bytes::new() } else { range_end };
        WatchCreateRequest {
            key,
            range_end,
            filters,
            prev_kv: self.rng.bool(),
            ..Default::default()
        }
    }

    fn rarely(&mut self) -> bool {
        self.rng.u8(0..20) == 0
    }

    fn lease(&mut self) -> i64 {
        self.rng.i64(1..=LEASES)
    }

    fn key(&mut self) -> Bytes {
        if self.rng.u8(0..100) == 0 {
            return Bytes::new();
        }
        Bytes::from_static(KEYS[self.rng.usize(0..KEYS.len())])
    }

    /// A key and an end: none, a prefix's, "to the last key", or any other key, also one below.
    fn span(&mut self) -> (Bytes, Bytes) {
        let key = self.key();
        let end = match self.rng.u8(0..8) {
            0..3 => Bytes::new(),
            3..5 => prefix_end(&key),
            5 => Bytes::from_static(b"\0"),
            _ => self.key(),
        };
        (
            if self.rarely() {
                Bytes::from_static(b"\0")
            } else {
                key
            },
            end,
        )
    }

    /// Mostly now, sometimes before, seldom in the future.
    fn at(&mut self) -> i64 {
        match self.rng.u8(0..12) {
            0..8 => 0,
            8 => self.rng.i64(-2..self.revision.max(1) + 3),
            _ => (self.revision - self.rng.i64(0..12)).max(0),
        }
    }

    fn bound(&mut self) -> i64 {
        if self.rng.u8(0..8) == 0 {
            (self.revision - self.rng.i64(0..20)).max(0)
        } else {
            0
        }
    }

    fn range(&mut self) -> RangeRequest {
        let (key, range_end) = self.span();
        let sort_target = if self.rng.u8(0..3) == 0 {
            self.rng.i32(0..5)
        } else {
            0
        };
        // Among equals etcd's order is not settled: a limit would make that visible.
        let limit = if sort_target == 0 && self.rng.u8(0..3) == 0 {
            self.rng.i64(0..6)
        } else {
            0
        };
        RangeRequest {
            key,
            range_end,
            limit,
            revision: self.at(),
            sort_order: self.rng.i32(0..3),
            sort_target,
            serializable: self.rng.bool(),
            keys_only: self.rarely(),
            count_only: self.rarely(),
            min_mod_revision: self.bound(),
            max_mod_revision: self.bound(),
            min_create_revision: self.bound(),
            max_create_revision: self.bound(),
        }
    }

    fn put(&mut self) -> PutRequest {
        let lease = if self.rng.u8(0..4) == 0 {
            self.lease()
        } else {
            0
        };
        let value = if self.rarely() {
            Bytes::new()
        } else {
            self.rng.u16(..).to_string().into()
        };
        let (ignore_value, ignore_lease) = (self.rarely(), self.rarely());
        // Half of the odd ones are right in all else.
        let value = if ignore_value && self.rng.bool() {
            Bytes::new()
        } else {
            value
        };
        let lease = if ignore_lease && self.rng.bool() {
            0
        } else {
            lease
        };
        PutRequest {
            key: self.key(),
            value,
            lease,
            prev_kv: self.rng.bool(),
            ignore_value,
            ignore_lease,
        }
    }

    fn delete(&mut self) -> DeleteRangeRequest {
        let (key, range_end) = self.span();
        DeleteRangeRequest {
            key,
            range_end,
            prev_kv: self.rng.bool(),
        }
    }

    fn compaction(&mut self) -> CompactionRequest {
        let revision = if self.rarely() {
            self.revision + 5
        } else {
            self.revision - self.rng.i64(0..40)
        };
        CompactionRequest {
            revision,
            physical: self.rng.bool(),
        }
    }

    fn txn(&mut self, depth: u8) -> TxnRequest {
        let count = |rng: &mut Rng| rng.usize(0..4);
        let (compare, success, failure) = (
            count(&mut self.rng),
            count(&mut self.rng),
            count(&mut self.rng),
        );
        TxnRequest {
            compare: (0..compare).map(|_| self.compare()).collect(),
            success: (0..success).map(|_| self.op(depth)).collect(),
            failure: (0..failure).map(|_| self.op(depth)).collect(),
        }
    }

    fn op(&mut self, depth: u8) -> RequestOp {
        let request = match self.rng.u8(0..60) {
            0..20 => Some(Request::RequestRange(self.range())),
            20..42 => Some(Request::RequestPut(self.put())),
            42..50 => Some(Request::RequestDeleteRange(self.delete())),
            50..59 if depth > 0 => Some(Request::RequestTxn(self.txn(depth - 1))),
            50..59 => Some(Request::RequestPut(self.put())),
            _ => None,
        };
        RequestOp { request }
    }

    fn compare(&mut self) -> Compare {
        let (key, range_end) = self.span();
        let range_end = if self.rng.bool() {
            Bytes::new()
        } else {
            range_end
        };
        let revision = (self.revision - self.rng.i64(0..12)).max(0);
        let union = match self.rng.u8(0..5) {
            0 => TargetUnion::Version(self.rng.i64(0..4)),
            1 => TargetUnion::CreateRevision(revision),
            2 => TargetUnion::ModRevision(revision),
            3 => TargetUnion::Value(self.rng.u16(..).to_string().into()),
            _ => TargetUnion::Lease(self.rng.i64(0..=LEASES)),
        };
        let mut compare = crate::ask::compare(
            key,
            meridian_etcd_api::etcdserverpb::compare::CompareResult::Equal,
            union,
        );
        compare.result = self.rng.i32(0..4);
        compare.range_end = range_end;
        compare
    }
}

/// The same without the one combination that ends etcd.
fn survivable(mut txn: TxnRequest) -> TxnRequest {
    if [&txn.success, &txn.failure]
        .into_iter()
        .flatten()
        .any(deletes_to_the_last_key)
    {
        [&mut txn.success, &mut txn.failure]
            .into_iter()
            .flatten()
            .for_each(disarm);
    }
    txn
}

fn deletes_to_the_last_key(op: &RequestOp) -> bool {
    match &op.request {
        Some(Request::RequestDeleteRange(delete)) => delete.range_end == b"\0"[..],
        Some(Request::RequestTxn(txn)) => txn
            .success
            .iter()
            .chain(&txn.failure)
            .any(deletes_to_the_last_key),
        Some(Request::RequestRange(_) | Request::RequestPut(_)) | None => false,
    }
}

fn disarm(op: &mut RequestOp) {
    match &mut op.request {
        Some(Request::RequestPut(put)) => (put.ignore_value, put.ignore_lease) = (false, false),
        Some(Request::RequestTxn(txn)) => txn
            .success
            .iter_mut()
            .chain(&mut txn.failure)
            .for_each(disarm),
        Some(Request::RequestRange(_) | Request::RequestDeleteRange(_)) | None => {}
    }
}
