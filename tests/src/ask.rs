//! Requests in their shortest form: what a case does not say has etcd's default.

use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{
    Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, RequestOp,
    TxnRequest,
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
};

use crate::watching::prefix_end;

/// A read of one key.
#[must_use]
pub fn get(key: impl Into<Bytes>) -> RangeRequest {
    RangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// A read of all keys that begin with `prefix`.
#[must_use]
pub fn list(prefix: &Bytes) -> RangeRequest {
    RangeRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix),
        ..Default::default()
    }
}

/// A write of one key.
#[must_use]
pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    }
}

/// The end of one key.
#[must_use]
pub fn delete(key: impl Into<Bytes>) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// The end of all keys that begin with `prefix`.
#[must_use]
pub fn delete_all(prefix: &Bytes) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix),
        ..Default::default()
    }
}

/// A lease that outlives the test.
#[must_use]
pub fn lease(ttl: i64) -> LeaseGrantRequest {
    LeaseGrantRequest { ttl, id: 0 }
}

/// A transaction without conditions.
#[must_use]
pub fn all_of(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        compare: Vec::new(),
        success,
        failure: Vec::new(),
    }
}

/// A transaction with conditions.
#[must_use]
pub fn when(compare: Vec<Compare>, success: Vec<RequestOp>, failure: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        compare,
        success,
        failure,
    }
}

/// A read inside a transaction.
#[must_use]
pub fn op_range(range: RangeRequest) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestRange(range)),
    }
}

/// A write inside a transaction.
#[must_use]
pub fn op_put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestPut(put(key, value))),
    }
}

/// A write inside a transaction, in full.
#[must_use]
pub fn op_put_as(put: PutRequest) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestPut(put)),
    }
}

/// A deletion inside a transaction.
#[must_use]
pub fn op_delete(delete: DeleteRangeRequest) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestDeleteRange(delete)),
    }
}

/// A transaction inside a transaction.
#[must_use]
pub fn op_txn(txn: TxnRequest) -> RequestOp {
    RequestOp {
        request: Some(Request::RequestTxn(txn)),
    }
}

/// One condition.
#[must_use]
pub fn compare(key: impl Into<Bytes>, result: CompareResult, union: TargetUnion) -> Compare {
    let target = match &union {
        TargetUnion::Version(_) => CompareTarget::Version,
        TargetUnion::CreateRevision(_) => CompareTarget::Create,
        TargetUnion::ModRevision(_) => CompareTarget::Mod,
        TargetUnion::Value(_) => CompareTarget::Value,
        TargetUnion::Lease(_) => CompareTarget::Lease,
    };
    Compare {
        result: result.into(),
        target: target.into(),
        key: key.into(),
        range_end: Bytes::new(),
        target_union: Some(union),
    }
}

/// The condition that `key` was last changed at `revision`; 0 means that it does not exist.
#[must_use]
pub fn unchanged_since(key: impl Into<Bytes>, revision: i64) -> Compare {
    compare(
        key,
        CompareResult::Equal,
        TargetUnion::ModRevision(revision),
    )
}
