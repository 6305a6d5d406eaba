//! Goal: which transactions are answered here, and that none with a write is.

use meridian_etcd_api::etcdserverpb::{PutRequest, RangeRequest, RequestOp, request_op::Request};

use super::*;

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn get(serializable: bool) -> RequestOp {
    op(Request::RequestRange(RangeRequest {
        key: "k".into(),
        serializable,
        ..Default::default()
    }))
}

fn txn(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        success,
        ..Default::default()
    }
}

#[test]
fn a_write_at_any_depth_makes_it_a_write() {
    let put = op(Request::RequestPut(PutRequest {
        key: "k".into(),
        ..Default::default()
    }));
    let nested = op(Request::RequestTxn(txn(vec![get(false), put])));
    assert!(!request::txn_of(&txn(vec![get(false), nested])).is_read_only());
    assert!(request::txn_of(&txn(vec![get(false)])).is_read_only());
    assert!(request::txn_of(&txn(vec![])).is_read_only());
}

#[test]
fn it_is_serializable_only_if_every_operation_is() {
    assert!(request::is_serializable(&txn(vec![])));
    assert!(request::is_serializable(&txn(vec![get(true), get(true)])));
    assert!(!request::is_serializable(&txn(vec![get(true), get(false)])));
    let nested = op(Request::RequestTxn(txn(vec![get(true)])));
    assert!(!request::is_serializable(&txn(vec![nested])));
}

#[test]
fn long_reads_under_the_lock_go_home() {
    let range = |limit, sort_target| {
        op(Request::RequestRange(RangeRequest {
            key: "a".into(),
            range_end: "z".into(),
            limit,
            sort_target,
            ..Default::default()
        }))
    };
    assert!(request::is_light(&txn(vec![get(false), range(10, 0)])));
    assert!(!request::is_light(&txn(vec![range(0, 0)])));
    assert!(!request::is_light(&txn(vec![range(10, 2)])));
}

#[test]
fn an_unknown_sort_is_found_at_any_depth() {
    let range = RangeRequest {
        key: "a".into(),
        sort_target: 9,
        ..Default::default()
    };
    let nested = op(Request::RequestTxn(txn(vec![op(Request::RequestRange(
        range,
    ))])));
    let txn = request::txn_of(&txn(vec![nested]));
    assert!(request::has_unknown_sort(&txn));
    assert_eq!(txn::check(&txn, OPS_MAX), Err(TxnRefused::InvalidSort));
}
