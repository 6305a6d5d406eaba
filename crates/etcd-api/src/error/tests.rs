//! Goal: an error is found again by its text, and texts are unique. Method: walk the table.

use std::collections::HashSet;

use super::*;

#[test]
fn texts_round_trip() {
    for error in EtcdError::ALL {
        assert_eq!(EtcdError::from_message(error.message()), Some(error));
        assert!(error.message().starts_with("etcdserver: "), "{error}");
    }
    assert_eq!(EtcdError::from_message("key is not provided"), None);
}

#[test]
fn texts_stand_once() {
    let texts: HashSet<_> = EtcdError::ALL.iter().map(EtcdError::message).collect();
    assert_eq!(texts.len(), EtcdError::ALL.len());
    assert_eq!(texts.len(), 63, "etcd 3.7.1 has 63");
}

#[test]
fn status_carries_code_and_text() {
    let status = Status::from(EtcdError::COMPACTED);
    assert_eq!(status.code(), Code::OutOfRange);
    assert_eq!(
        status.message(),
        "etcdserver: mvcc: required revision has been compacted"
    );
}
