//! Refusals: etcd's codes and texts, and which comes first where two would fit.

use super::*;
use tonic::Code;

#[tokio::test]
async fn bad_requests_are_refused_as_etcd_refuses_them() {
    let f = Fixture::new();
    f.put("a", "1").await;
    let txn = |success: Vec<pb::RequestOp>| pb::TxnRequest {
        success,
        ..Default::default()
    };
    f.refused(Method::KvPut, put("", "1"), EtcdError::EMPTY_KEY)
        .await;
    f.refused(Method::KvRange, one(""), EtcdError::EMPTY_KEY)
        .await;
    let unsortable = pb::RangeRequest {
        sort_target: 9,
        ..one("a")
    };
    f.refused(Method::KvRange, unsortable, EtcdError::INVALID_SORT_OPTION)
        .await;
    let future = pb::RangeRequest {
        revision: 99,
        ..one("a")
    };
    f.refused(Method::KvRange, future, EtcdError::FUTURE_REVISION)
        .await;
    let twice = txn(vec![put_op("k", "1"), put_op("k", "2")]);
    f.refused(Method::KvTxn, twice, EtcdError::DUPLICATE_KEY)
        .await;
    f.refused(
        Method::KvTxn,
        txn(vec![put_op("k", "1"); 129]),
        EtcdError::TOO_MANY_OPS,
    )
    .await;
    let empty = txn(vec![pb::RequestOp { request: None }]);
    f.refused(Method::KvTxn, empty, EtcdError::KEY_NOT_FOUND)
        .await;
    let dead = pb::PutRequest {
        lease: 77,
        ..put("k", "1")
    };
    f.refused(Method::KvPut, dead, EtcdError::LEASE_NOT_FOUND)
        .await;
    let missing = pb::PutRequest {
        key: bytes("new"),
        ignore_value: true,
        ..Default::default()
    };
    f.refused(Method::KvPut, missing, EtcdError::KEY_NOT_FOUND)
        .await;
    let given = pb::PutRequest {
        ignore_value: true,
        ..put("a", "1")
    };
    f.refused(Method::KvPut, given, EtcdError::VALUE_PROVIDED)
        .await;
    let large = put("k", &"v".repeat(1_600_000));
    f.refused(Method::KvPut, large, EtcdError::REQUEST_TOO_LARGE)
        .await;
    let huge = f
        .call::<pb::PutResponse>(Method::KvPut, put("k", &"v".repeat(2_200_000)))
        .await;
    let huge = huge.unwrap_err();
    assert_eq!(huge.code, Code::ResourceExhausted);
    assert!(
        huge.message
            .starts_with("grpc: received message larger than max (22000"),
        "{huge}"
    );
    let garbage = f
        .home
        .unary(Call::new(Method::KvPut, Bytes::from_static(&[0xff])))
        .await;
    assert_eq!(garbage.unwrap_err().code, Code::Internal);
    assert_eq!(f.revision(), 2, "nothing changed");
}

#[tokio::test]
async fn a_put_looks_at_the_lease_first_and_a_transaction_at_the_key() {
    let f = Fixture::new();
    let both_wrong = pb::PutRequest {
        lease: 77,
        ignore_value: true,
        ..put("missing", "")
    };
    f.refused(
        Method::KvPut,
        both_wrong.clone(),
        EtcdError::LEASE_NOT_FOUND,
    )
    .await;
    let txn = pb::TxnRequest {
        success: vec![request_op(pb::request_op::Request::RequestPut(both_wrong))],
        ..Default::default()
    };
    f.refused(Method::KvTxn, txn, EtcdError::KEY_NOT_FOUND)
        .await;
    assert_eq!(f.revision(), 1, "nothing changed");
}
