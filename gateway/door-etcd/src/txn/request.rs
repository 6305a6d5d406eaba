//! A `TxnRequest` as the keyspace's transaction.

use meridian_etcd_api::etcdserverpb::{
    Compare as WireCompare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
    compare::{CompareResult as WireResult, CompareTarget as WireTarget, TargetUnion},
    request_op::Request,
};
use meridian_keyspace::{
    KeyRange, LeaseId, Revision,
    txn::{Compare, CompareResult, CompareTarget, DeleteOp, Op, PutOp, RangeOp, Txn, TxnRefused},
};

use crate::read;

/// Records that one range of a transaction may give under the lock: with 128 operations at most
/// 8,192 records, some milliseconds.
const LIGHT_LIMIT_MAX: i64 = 64;

/// The transaction a request asks for. What cannot be read as an operation becomes one that is
/// refused, so that the first fault in etcd's order is the one told.
pub(super) fn txn_of(request: &TxnRequest) -> Txn {
    Txn {
        compare: request.compare.iter().map(compare_of).collect(),
        success: request.success.iter().map(op_of).collect(),
        failure: request.failure.iter().map(op_of).collect(),
    }
}

/// Whether the transaction may be read from a possibly old state: every operation is a serializable
/// range (a nested transaction is not one), as etcd has it.
pub(super) fn is_serializable(request: &TxnRequest) -> bool {
    request
        .success
        .iter()
        .chain(&request.failure)
        .all(|op| match &op.request {
            Some(Request::RequestRange(range)) => range.serializable,
            Some(
                Request::RequestPut(_) | Request::RequestDeleteRange(_) | Request::RequestTxn(_),
            )
            | None => false,
        })
}

/// Whether a transaction of reads takes but a moment under the replica's lock, and means what we
/// think: every range and compare in it is of one key, or a natural range with a small limit, and
/// every enum is one that etcd has. What is not goes home.
pub(super) fn is_light(request: &TxnRequest) -> bool {
    request.compare.iter().all(is_light_compare)
        && request
            .success
            .iter()
            .chain(&request.failure)
            .all(|op| match &op.request {
                Some(Request::RequestRange(range)) => is_light_range(range),
                Some(Request::RequestTxn(txn)) => is_light(txn),
                Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) | None => false,
            })
}

fn is_light_compare(wire: &WireCompare) -> bool {
    wire.range_end.is_empty()
        && WireTarget::try_from(wire.target).is_ok()
        && WireResult::try_from(wire.result).is_ok()
}

fn is_light_range(range: &RangeRequest) -> bool {
    let few = (1..=LIGHT_LIMIT_MAX).contains(&range.limit);
    range.range_end.is_empty() || few && read::query_of(range).is_natural() && !range.count_only
}

/// Whether a range in it, at any depth, has a sort option that no etcd knows.
pub(super) fn has_unknown_sort(txn: &Txn) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match op {
        Op::Refused(refusal) => *refusal == TxnRefused::InvalidSort,
        Op::Txn(txn) => has_unknown_sort(txn),
        Op::Range(_) | Op::Put(_) | Op::Delete(_) => false,
    })
}

fn compare_of(wire: &WireCompare) -> Compare {
    Compare {
        range: KeyRange::from_wire(&wire.key, &wire.range_end),
        target: target_of(wire),
        result: result_of(wire),
    }
}

/// etcd compares the target that is named with the union member of that target, which is zero when
/// another was given.
fn target_of(wire: &WireCompare) -> CompareTarget {
    let given = wire.target_union.as_ref();
    let target = WireTarget::try_from(wire.target).unwrap_or(WireTarget::Version);
    match (target, given) {
        (WireTarget::Version, Some(TargetUnion::Version(n))) => CompareTarget::Version(*n),
        (WireTarget::Version, _) => CompareTarget::Version(0),
        (WireTarget::Create, Some(TargetUnion::CreateRevision(n))) => CompareTarget::Create(*n),
        (WireTarget::Create, _) => CompareTarget::Create(0),
        (WireTarget::Mod, Some(TargetUnion::ModRevision(n))) => CompareTarget::Mod(*n),
        (WireTarget::Mod, _) => CompareTarget::Mod(0),
        (WireTarget::Value, Some(TargetUnion::Value(v))) => CompareTarget::Value(v.clone()),
        (WireTarget::Value, _) => CompareTarget::Value(bytes::Bytes::new()),
        (WireTarget::Lease, Some(TargetUnion::Lease(n))) => CompareTarget::Lease(*n),
        (WireTarget::Lease, _) => CompareTarget::Lease(0),
    }
}

fn result_of(wire: &WireCompare) -> CompareResult {
    match WireResult::try_from(wire.result).unwrap_or(WireResult::Equal) {
        WireResult::Equal => CompareResult::Equal,
        WireResult::Greater => CompareResult::Greater,
        WireResult::Less => CompareResult::Less,
        WireResult::NotEqual => CompareResult::NotEqual,
    }
}

fn op_of(op: &RequestOp) -> Op {
    match &op.request {
        Some(Request::RequestRange(range)) => range_of(range),
        Some(Request::RequestPut(put)) => Op::Put(put_of(put)),
        Some(Request::RequestDeleteRange(delete)) => Op::Delete(delete_of(delete)),
        Some(Request::RequestTxn(txn)) => Op::Txn(txn_of(txn)),
        None => Op::Refused(TxnRefused::KeyNotFound),
    }
}

fn range_of(wire: &RangeRequest) -> Op {
    if wire.key.is_empty() {
        return Op::Refused(TxnRefused::EmptyKey);
    }
    let (Some(sort_order), Some(sort_target)) = (read::order_of(wire), read::target_of(wire))
    else {
        return Op::Refused(TxnRefused::InvalidSort);
    };
    Op::Range(RangeOp {
        range: KeyRange::from_wire(&wire.key, &wire.range_end),
        revision: (wire.revision != 0).then(|| Revision::new(wire.revision)),
        limit: read::limit_of(wire),
        sort_target,
        sort_order,
        filter: read::filter_of(wire),
        count_only: wire.count_only,
    })
}

fn put_of(wire: &PutRequest) -> PutOp {
    PutOp {
        key: wire.key.clone(),
        value: wire.value.clone(),
        lease: LeaseId::new(wire.lease),
        prev_kv: wire.prev_kv,
        ignore_value: wire.ignore_value,
        ignore_lease: wire.ignore_lease,
    }
}

fn delete_of(wire: &DeleteRangeRequest) -> DeleteOp {
    DeleteOp {
        range: KeyRange::from_wire(&wire.key, &wire.range_end),
        prev_kv: wire.prev_kv,
    }
}
