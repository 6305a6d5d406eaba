//! Goal: transactions are refused, evaluated and answered as etcd does it. Method: examples for
//! each rule; random nested transactions are compared with the naive model in `store`'s tests.

use super::*;
use crate::{Event, KeySpan, WindowLimits, record::Fields};

fn put_op(key: &str, value: &str) -> PutOp {
    PutOp {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..PutOp::default()
    }
}

fn put(key: &str, value: &str) -> Op {
    Op::Put(put_op(key, value))
}

fn range(key: &str, end: &str) -> KeyRange {
    KeyRange::from_wire(key.as_bytes(), end.as_bytes())
}

fn delete(key: &str, end: &str) -> Op {
    Op::Delete(DeleteOp {
        range: range(key, end),
        prev_kv: true,
    })
}

fn get(key: &str, end: &str) -> Op {
    Op::Range(RangeOp::of(range(key, end)))
}

fn get_at(key: &str, revision: i64) -> Op {
    Op::Range(RangeOp {
        revision: Some(Revision::new(revision)),
        ..RangeOp::of(range(key, ""))
    })
}

fn txn(success: Vec<Op>) -> Txn {
    Txn {
        compare: Vec::new(),
        success,
        failure: Vec::new(),
    }
}

fn nested(success: Vec<Op>) -> Op {
    Op::Txn(txn(success))
}

fn either(success: Vec<Op>, failure: Vec<Op>) -> Op {
    Op::Txn(Txn {
        compare: Vec::new(),
        success,
        failure,
    })
}

fn compare(key: &str, end: &str, target: CompareTarget, result: CompareResult) -> Compare {
    Compare {
        range: range(key, end),
        target,
        result,
    }
}

/// A keyspace in which each of these `key=value` was put, one revision each.
fn keyspace(puts: &[&str]) -> Keyspace {
    let mut keyspace = Keyspace::new(WindowLimits::UNLIMITED);
    for spelled in puts {
        let (key, value) = spelled.split_once('=').unwrap();
        keyspace
            .transact(&txn(vec![put(key, value)]), &|_| true)
            .unwrap();
    }
    keyspace
}

fn show(record: &Record) -> String {
    if record.is_tombstone() {
        return format!("-{}", String::from_utf8_lossy(record.key()));
    }
    let Fields {
        key,
        value,
        create_revision,
        mod_revision,
        version,
        lease: _,
    } = record.fields();
    let [key, value] = [key, value].map(String::from_utf8_lossy);
    format!("{key}={value}({create_revision},{mod_revision},{version})")
}

fn show_all(records: &[Record]) -> String {
    records.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn show_answer(answer: &OpAnswer) -> String {
    match answer {
        OpAnswer::Range { records, answer } => {
            format!("[{}]@{}", show_all(records), answer.current)
        }
        OpAnswer::Put { revision, previous } => format!(
            "put({})@{revision}",
            previous.as_ref().map(show).unwrap_or_default()
        ),
        OpAnswer::Delete {
            revision,
            deleted,
            previous,
        } => format!("del {deleted}({})@{revision}", show_all(previous)),
        OpAnswer::Txn(answer) => format!("{}{{{}}}", answer.succeeded, show_answers(answer)),
    }
}

fn show_answers(answer: &TxnAnswer) -> String {
    answer
        .answers
        .iter()
        .map(show_answer)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs a transaction and spells its answers, then its events.
fn run(keyspace: &mut Keyspace, txn: &Txn) -> String {
    check(txn, 128).unwrap();
    match keyspace.transact(txn, &|lease| lease.get() < 100) {
        Ok((answer, change)) => {
            let events = change.map(|change| {
                change
                    .events
                    .iter()
                    .map(|Event { record, .. }| show(record))
                    .collect::<Vec<_>>()
            });
            format!(
                "{} => {}",
                show_answers(&answer),
                events.unwrap_or_default().join(" ")
            )
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn later_operations_see_what_earlier_ones_wrote() {
    let mut keyspace = keyspace(&["a=1", "b=1"]);
    let ops = vec![
        get("a", ""),
        put("c", "1"),
        get("a", "z"),
        delete("a", "c"),
        get("a", "z"),
        nested(vec![get("c", "")]),
    ];
    assert_eq!(
        run(&mut keyspace, &txn(ops)),
        "[a=1(2,2,1)]@3 put()@4 [a=1(2,2,1) b=1(3,3,1) c=1(4,4,1)]@4 del 2(a=1(2,2,1) b=1(3,3,1))@4 [c=1(4,4,1)]@4 \
         true{[c=1(4,4,1)]@4} => c=1(4,4,1) -a -b"
    );
}

#[test]
fn a_range_at_a_revision_sees_that_revision_and_never_the_transactions_own() {
    let mut keyspace = keyspace(&["a=1", "a=2"]);
    let at = |revision| txn(vec![put("a", "3"), get_at("a", revision)]);
    assert_eq!(
        run(&mut keyspace, &at(4)),
        "revision is in the future: the newest is 3"
    );
    assert_eq!(keyspace.revision(), Revision::new(3));
    assert_eq!(
        run(&mut keyspace, &at(3)),
        "put()@4 [a=2(2,3,2)]@4 => a=3(2,4,3)"
    );
    assert_eq!(
        run(&mut keyspace, &at(2)),
        "put()@5 [a=1(2,2,1)]@5 => a=3(2,5,4)"
    );
    assert_eq!(
        run(&mut keyspace, &txn(vec![get_at("a", 0), get_at("a", -1)])),
        "[a=3(2,5,4)]@5 [a=3(2,5,4)]@5 => "
    );
    assert_eq!(
        run(&mut keyspace, &at(-2)),
        "revision is below the compacted revision 0"
    );
    keyspace.compact(Revision::new(4));
    assert_eq!(
        run(&mut keyspace, &at(3)),
        "revision is below the compacted revision 4"
    );
    assert_eq!(
        run(&mut keyspace, &at(-1)),
        "revision is below the compacted revision 4"
    );
}

#[test]
fn nothing_changed_uses_no_revision() {
    let mut keyspace = keyspace(&["a=1"]);
    assert_eq!(
        run(&mut keyspace, &txn(vec![delete("x", "z"), get("a", "")])),
        "del 0()@2 [a=1(2,2,1)]@2 => "
    );
    assert_eq!(run(&mut keyspace, &txn(vec![])), " => ");
    assert_eq!(keyspace.revision(), Revision::new(2));
    // A delete that hits nothing bears the old revision until something changes.
    assert_eq!(
        run(
            &mut keyspace,
            &txn(vec![delete("x", ""), put("b", ""), delete("x", "")])
        ),
        "del 0()@2 put()@3 del 0()@3 => b=(3,3,1)"
    );
}

#[test]
fn a_deleted_key_begins_anew() {
    let mut keyspace = keyspace(&["a=1", "a=2"]);
    assert_eq!(
        run(&mut keyspace, &txn(vec![delete("a", "")])),
        "del 1(a=2(2,3,2))@4 => -a"
    );
    assert_eq!(
        run(&mut keyspace, &txn(vec![put("a", "3")])),
        "put()@5 => a=3(5,5,1)"
    );
}

#[test]
fn compares_see_the_state_before_the_transaction_on_every_level() {
    let mut keyspace = keyspace(&["a=1"]);
    let exists = |key: &str| compare(key, "", CompareTarget::Version(0), CompareResult::Greater);
    let inner = Txn {
        compare: vec![exists("b")],
        success: vec![],
        failure: vec![put("c", "")],
    };
    assert_eq!(
        run(&mut keyspace, &txn(vec![put("b", ""), Op::Txn(inner)])),
        "put()@3 false{put()@3} => b=(3,3,1) c=(3,3,1)"
    );
}

#[test]
fn compares_follow_etcd() {
    let keyspace = keyspace(&["a=m", "b=m", "b=n"]);
    use CompareResult::{Equal, Greater, Less, NotEqual};
    use CompareTarget::{Create, Lease, Mod, Value, Version};
    let check =
        |key: &str, end: &str, target: CompareTarget, result: CompareResult, expected: bool| {
            let txn = Txn {
                compare: vec![compare(key, end, target.clone(), result)],
                success: vec![],
                failure: vec![],
            };
            assert_eq!(
                keyspace.evaluate(&txn).unwrap().succeeded,
                expected,
                "{key} {end} {target:?} {result:?}"
            );
        };
    check("b", "", Version(2), Equal, true);
    check("b", "", Version(2), NotEqual, false);
    check("b", "", Create(3), Equal, true);
    check("b", "", Mod(3), Greater, true);
    check("b", "", Mod(4), Greater, false);
    check("b", "", Value("o".into()), Less, true);
    check("b", "", Lease(0), Equal, true);
    // A missing key has zeros, but no value.
    check("x", "", Version(0), Equal, true);
    check("x", "", Mod(1), Less, true);
    check("x", "", Lease(0), Equal, true);
    check("x", "", Value("".into()), Equal, false);
    check("x", "", Value("".into()), NotEqual, false);
    check("x", "z", Create(0), Equal, true);
    check("x", "z", Value("".into()), NotEqual, false);
    // All keys of a range must match.
    check("a", "c", Value("n".into()), Equal, false);
    check("a", "c", Value("l".into()), Greater, true);
    check("a", "\0", Version(0), Greater, true);
    check("a", "\0", Version(1), Equal, false);
    check("b", "a", Version(0), Equal, true);
}

#[test]
fn puts_keep_value_or_lease_of_a_key_that_existed_before() {
    let mut keyspace = keyspace(&["a=1"]);
    let keep_value = |key| {
        Op::Put(PutOp {
            lease: LeaseId::new(7),
            ignore_value: true,
            prev_kv: true,
            ..put_op(key, "")
        })
    };
    let keep_lease = |key| {
        Op::Put(PutOp {
            ignore_lease: true,
            ..put_op(key, "2")
        })
    };
    assert_eq!(
        run(&mut keyspace, &txn(vec![keep_value("a")])),
        "put(a=1(2,2,1))@3 => a=1(2,3,2)"
    );
    assert_eq!(
        run(&mut keyspace, &txn(vec![keep_lease("a")])),
        "put()@4 => a=2(2,4,3)"
    );
    assert_eq!(keyspace.get(b"a").unwrap().fields().lease, LeaseId::new(7));
    for op in [keep_value("x"), keep_lease("x")] {
        assert_eq!(
            run(&mut keyspace, &txn(vec![put("b", "1"), op])),
            "key not found"
        );
    }
    // Created, or deleted, by the very transaction.
    let put_x = || nested(vec![put("y", "1")]);
    assert_eq!(
        run(&mut keyspace, &txn(vec![put_x(), keep_value("x")])),
        "key not found"
    );
    assert_eq!(
        run(
            &mut keyspace,
            &txn(vec![delete("a", "\0"), keep_value("a")])
        ),
        "key not found"
    );
    assert_eq!(keyspace.revision(), Revision::new(4));
}

#[test]
fn an_unknown_lease_fails_the_whole_transaction() {
    let mut keyspace = keyspace(&[]);
    let op = Op::Put(PutOp {
        lease: LeaseId::new(100),
        ..put_op("a", "")
    });
    assert_eq!(
        run(&mut keyspace, &txn(vec![put("b", ""), op])),
        "requested lease not found"
    );
    assert!(keyspace.is_empty());
}

#[test]
fn one_key_may_change_twice_in_a_revision_where_etcd_lets_it() {
    let mut keyspace = keyspace(&["a=1"]);
    assert_eq!(
        run(
            &mut keyspace,
            &txn(vec![
                nested(vec![put("a", "2")]),
                nested(vec![delete("a", "")])
            ])
        ),
        "true{put()@3} true{del 1(a=2(2,3,2))@3} => a=2(2,3,2) -a"
    );
    assert_eq!(
        run(&mut keyspace, &txn(vec![put("a", "1")])),
        "put()@4 => a=1(4,4,1)"
    );
    assert_eq!(
        run(&mut keyspace, &txn(vec![delete("a", "\0"), put("a", "2")])),
        "del 1(a=1(4,4,1))@5 put()@5 => -a a=2(5,5,1)"
    );
}

fn check_refused(txn: &Txn, max_ops: usize, expected: Result<(), TxnRefused>) {
    assert_eq!(check(txn, max_ops), expected, "{txn:?}");
    let failure = Txn {
        compare: Vec::new(),
        success: Vec::new(),
        failure: txn.success.clone(),
    };
    assert_eq!(
        check(&failure, max_ops.max(txn.compare.len())),
        expected,
        "{failure:?}"
    );
}

#[test]
fn keys_written_twice_are_refused_where_etcd_refuses_them() {
    let dup = Err(TxnRefused::DuplicateKey);
    let check = |ops: Vec<Op>, expected| check_refused(&txn(ops), 128, expected);
    check(vec![put("a", ""), put("b", "")], Ok(()));
    check(vec![put("a", ""), put("a", "")], dup);
    check(vec![put("a", ""), delete("a", "")], dup);
    check(vec![delete("a", "c"), put("b", "")], dup);
    check(vec![delete("a", "b"), put("b", "")], Ok(()));
    check(
        vec![delete("a", "b"), delete("a", "c"), delete("b", "d")],
        Ok(()),
    );
    check(
        vec![
            delete("a", "c"),
            delete("e", "g"),
            delete("b", "f"),
            put("d", ""),
        ],
        dup,
    );
    check(vec![delete("c", "a"), put("b", "")], Ok(()));
    check(vec![delete("a", "\0"), put("b", "")], Ok(()));
    // Over levels: deletes of this level, and of nested transactions before, meet nested puts;
    // this level's puts meet everything.
    check(vec![put("a", ""), nested(vec![put("a", "")])], dup);
    check(vec![put("a", ""), nested(vec![delete("a", "")])], dup);
    check(vec![nested(vec![put("a", "")]), delete("a", "")], dup);
    check(
        vec![nested(vec![put("a", "")]), nested(vec![put("a", "")])],
        dup,
    );
    check(
        vec![nested(vec![delete("a", "")]), nested(vec![put("a", "")])],
        dup,
    );
    check(
        vec![nested(vec![put("a", "")]), nested(vec![delete("a", "")])],
        Ok(()),
    );
    check(
        vec![nested(vec![nested(vec![delete("a", "")])]), put("a", "")],
        dup,
    );
    // One of two sides runs.
    check(vec![either(vec![put("a", "")], vec![put("a", "")])], Ok(()));
    check(
        vec![either(vec![delete("a", "")], vec![put("a", "")])],
        Ok(()),
    );
    check(
        vec![either(vec![put("a", "")], vec![put("a", "")]), put("a", "")],
        dup,
    );
    check(vec![put("b", ""), either(vec![], vec![put("b", "")])], dup);
    check(
        vec![
            either(vec![put("a", "")], vec![]),
            either(vec![], vec![put("a", "")]),
        ],
        dup,
    );
}

#[test]
fn operations_count_along_the_nesting_path() {
    let many = Err(TxnRefused::TooManyOps);
    let gets = |n: usize| vec![get("a", ""); n];
    check_refused(&txn(gets(4)), 4, Ok(()));
    check_refused(&txn(gets(5)), 4, many);
    check_refused(&txn(vec![nested(gets(3)), nested(gets(2))]), 4, many);
    check_refused(&txn(vec![nested(gets(2)), nested(gets(2))]), 4, Ok(()));
    check_refused(&txn(vec![nested(vec![nested(gets(1))])]), 2, many);
    check_refused(&txn(vec![nested(vec![nested(vec![])])]), 2, Ok(()));
    let compare = vec![compare("a", "", CompareTarget::Mod(0), CompareResult::Equal); 3];
    let txn = Txn {
        compare,
        success: vec![nested(gets(2))],
        failure: vec![],
    };
    assert_eq!(check(&txn, 4), many);
    assert_eq!(check(&txn, 5), Ok(()));
}

#[test]
fn the_first_fault_in_etcds_order_is_reported() {
    let keep = |value: &str, lease| {
        Op::Put(PutOp {
            ignore_value: true,
            ignore_lease: true,
            lease: LeaseId::new(lease),
            ..put_op("a", value)
        })
    };
    let check = |ops: Vec<Op>, expected| check_refused(&txn(ops), 9, Err(expected));
    check(vec![put("", "")], TxnRefused::EmptyKey);
    check(vec![get("", "\0")], TxnRefused::EmptyKey);
    check(vec![delete("", "\0")], TxnRefused::EmptyKey);
    check(vec![keep("v", 1)], TxnRefused::ValueProvided);
    check(vec![keep("", 1)], TxnRefused::LeaseProvided);
    check(
        vec![Op::Refused(TxnRefused::KeyNotFound), put("", "")],
        TxnRefused::KeyNotFound,
    );
    check(
        vec![
            nested(vec![Op::Refused(TxnRefused::InvalidSort)]),
            put("", ""),
        ],
        TxnRefused::InvalidSort,
    );
    // Twice the same key is looked for when all else is right.
    check(
        vec![put("a", ""), put("a", ""), put("", "")],
        TxnRefused::EmptyKey,
    );
    check(vec![put("", ""); 10], TxnRefused::TooManyOps);
    let empty = compare("", "", CompareTarget::Mod(0), CompareResult::Equal);
    let txn = Txn {
        compare: vec![empty],
        success: vec![keep("v", 1)],
        failure: vec![],
    };
    assert_eq!(super::check(&txn, 9), Err(TxnRefused::EmptyKey));
}

#[test]
fn checking_a_large_transaction_takes_no_quadratic_time() {
    // 20,000 deletes of ranges beside 20,000 puts: a quadratic check would compare 400 million times.
    let key = |n: usize, tail: &str| format!("{n:05}{tail}");
    let deletes = (0..20_000).map(|n| delete(&key(n, "a"), &key(n, "b")));
    let puts = (0..20_000).map(|n| put(&key(n, "c"), ""));
    assert_eq!(check(&txn(deletes.chain(puts).collect()), 40_000), Ok(()));
}

#[test]
fn read_only_is_told_from_both_sides_and_all_depths() {
    assert!(txn(vec![get("a", ""), nested(vec![get("a", "")])]).is_read_only());
    assert!(txn(vec![]).is_read_only());
    assert!(!txn(vec![either(vec![], vec![delete("a", "")])]).is_read_only());
    assert!(KeySpan::ALL.contains(b"a"));
}
