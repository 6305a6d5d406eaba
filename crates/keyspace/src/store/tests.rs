//! Goal: reads, changes, compaction and the window are etcd's at every revision. Method: examples
//! for each rule, and random histories against the naive model.

use std::ops::RangeInclusive;

use proptest::prelude::*;

use super::*;
use crate::{
    KeyRange, RevisionFilter, SortOrder, SortTarget,
    model::{self, Model},
    record::Fields,
    txn::{self, RangeOp},
};

fn rev(number: i64) -> Revision {
    Revision::new(number)
}

/// Applies revisions spelled like `a=1 b=2 -c`: puts and deletes.
fn apply(keyspace: &mut Keyspace, revisions: &[&str]) {
    for spelled in revisions {
        let revision = keyspace.revision().next();
        let records =
            spelled
                .split(' ')
                .map(|op| match (op.strip_prefix('-'), op.split_once('=')) {
                    (Some(key), _) => Record::tombstone(key.as_bytes(), revision),
                    (None, Some((key, value))) => successor(keyspace, key, value, revision),
                    (None, None) => panic!("neither put nor delete: {op}"),
                });
        let records = records.collect();
        keyspace.apply(Commit { revision, records }).unwrap();
    }
}

fn successor(keyspace: &Keyspace, key: &str, value: &str, revision: Revision) -> Record {
    let old = keyspace.get(key.as_bytes()).map(Record::fields);
    Record::new(Fields {
        key: key.as_bytes(),
        value: value.as_bytes(),
        create_revision: old.map_or(revision, |old| old.create_revision),
        mod_revision: revision,
        version: old.map_or(1, |old| old.version + 1),
        lease: crate::LeaseId::NONE,
    })
}

fn keyspace(revisions: &[&str]) -> Keyspace {
    let mut keyspace = Keyspace::new(WindowLimits::UNLIMITED);
    apply(&mut keyspace, revisions);
    keyspace
}

fn everything() -> RangeOp {
    RangeOp::of(KeyRange::from_wire(b"\0", b"\0"))
}

fn show(record: &Record) -> String {
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

/// Reads and spells the answer: `records | count`, with a `+` for more.
fn read(keyspace: &Keyspace, op: &RangeOp) -> String {
    let mut shown = Vec::new();
    match keyspace.range(&op.query(), &mut |record| shown.push(show(record))) {
        Ok(answer) => format!(
            "{} | {}{}",
            shown.join(" "),
            answer.count,
            if answer.more { "+" } else { "" }
        ),
        Err(error) => error.to_string(),
    }
}

fn read_at(keyspace: &Keyspace, revision: i64) -> String {
    read(
        keyspace,
        &RangeOp {
            revision: Some(rev(revision)),
            ..everything()
        },
    )
}

#[test]
fn a_new_keyspace_is_empty_at_revision_one() {
    let keyspace = keyspace(&[]);
    assert_eq!(read(&keyspace, &everything()), " | 0");
    assert_eq!(read_at(&keyspace, 1), " | 0");
    assert_eq!(
        (
            keyspace.revision(),
            keyspace.floor(),
            keyspace.first_change()
        ),
        (rev(1), rev(1), rev(2))
    );
}

#[test]
fn every_revision_sees_exactly_the_commits_up_to_it() {
    let keyspace = keyspace(&["a=1 b=1", "a=2", "-b", "b=3", "-a -b"]);
    assert_eq!(read_at(&keyspace, 1), " | 0");
    assert_eq!(read_at(&keyspace, 2), "a=1(2,2,1) b=1(2,2,1) | 2");
    assert_eq!(read_at(&keyspace, 3), "a=2(2,3,2) b=1(2,2,1) | 2");
    assert_eq!(read_at(&keyspace, 4), "a=2(2,3,2) | 1");
    assert_eq!(read_at(&keyspace, 5), "a=2(2,3,2) b=3(5,5,1) | 2");
    assert_eq!(read_at(&keyspace, 6), " | 0");
    assert_eq!(
        read_at(&keyspace, 7),
        "revision is in the future: the newest is 6"
    );
    assert!(keyspace.is_empty());
}

#[test]
fn a_commit_out_of_turn_changes_nothing() {
    let mut keyspace = keyspace(&["a=1"]);
    for arrived in [1, 2, 4] {
        let commit = Commit {
            revision: rev(arrived),
            records: vec![Record::tombstone(b"a", rev(arrived))],
        };
        let error = keyspace.apply(commit).unwrap_err();
        assert_eq!(
            error,
            ApplyError {
                expected: rev(3),
                arrived: rev(arrived)
            }
        );
    }
    assert_eq!(read(&keyspace, &everything()), "a=1(2,2,1) | 1");
}

#[test]
fn range_options_follow_etcd() {
    let keyspace = keyspace(&["c=9", "a=5 b=5", "c=1", "d=5", "a=6"]);
    let check = |op: RangeOp, expected: &str| assert_eq!(read(&keyspace, &op), expected, "{op:?}");
    let (a, b, c, d) = ("a=6(3,6,2)", "b=5(3,3,1)", "c=1(2,4,2)", "d=5(5,5,1)");
    check(everything(), &format!("{a} {b} {c} {d} | 4"));
    check(
        RangeOp {
            limit: 2,
            ..everything()
        },
        &format!("{a} {b} | 4+"),
    );
    check(
        RangeOp {
            limit: 4,
            ..everything()
        },
        &format!("{a} {b} {c} {d} | 4"),
    );
    check(
        RangeOp {
            count_only: true,
            limit: 1,
            ..everything()
        },
        " | 4",
    );
    let sorted = |sort_target, sort_order| RangeOp {
        sort_target,
        sort_order,
        ..everything()
    };
    check(
        sorted(SortTarget::Key, SortOrder::Descend),
        &format!("{d} {c} {b} {a} | 4"),
    );
    check(
        sorted(SortTarget::Mod, SortOrder::None),
        &format!("{b} {c} {d} {a} | 4"),
    );
    check(
        sorted(SortTarget::Create, SortOrder::Descend),
        &format!("{d} {a} {b} {c} | 4"),
    );
    check(
        sorted(SortTarget::Version, SortOrder::Ascend),
        &format!("{b} {d} {a} {c} | 4"),
    );
    check(
        sorted(SortTarget::Version, SortOrder::Descend),
        &format!("{a} {c} {b} {d} | 4"),
    );
    check(
        sorted(SortTarget::Value, SortOrder::Ascend),
        &format!("{c} {b} {d} {a} | 4"),
    );
    check(
        RangeOp {
            limit: 2,
            ..sorted(SortTarget::Mod, SortOrder::Ascend)
        },
        &format!("{b} {c} | 4+"),
    );
    // With no order the limit cuts before the sort: of the first three keys, not of all.
    check(
        RangeOp {
            limit: 2,
            ..sorted(SortTarget::Version, SortOrder::None)
        },
        &format!("{b} {a} | 4+"),
    );
    let bounded = |filter| RangeOp {
        filter,
        ..everything()
    };
    let filter = RevisionFilter {
        min_mod: 4,
        max_create: 3,
        ..RevisionFilter::default()
    };
    check(bounded(filter), &format!("{a} {c} | 4"));
    check(
        RangeOp {
            limit: 1,
            ..bounded(filter)
        },
        &format!("{a} | 4+"),
    );
    check(
        RangeOp {
            limit: 2,
            ..bounded(filter)
        },
        &format!("{a} {c} | 4"),
    );
    check(
        bounded(RevisionFilter {
            min_create: 4,
            ..RevisionFilter::default()
        }),
        &format!("{d} | 4"),
    );
    check(
        bounded(RevisionFilter {
            max_mod: -1,
            ..RevisionFilter::default()
        }),
        " | 4",
    );
    check(
        bounded(RevisionFilter {
            min_mod: 99,
            ..RevisionFilter::default()
        }),
        " | 4",
    );
    let part = |key: &[u8], end: &[u8]| RangeOp::of(KeyRange::from_wire(key, end));
    check(part(b"b", b""), &format!("{b} | 1"));
    check(part(b"x", b""), " | 0");
    check(part(b"b", b"d"), &format!("{b} {c} | 2"));
    check(part(b"c", b"\0"), &format!("{c} {d} | 2"));
    check(part(b"d", b"b"), " | 0");
}

/// Found by the differential test, seed 3795205153390781215: one transaction put a key and then
/// deleted from a key on; etcd keeps only the deletion of a compacted revision.
#[test]
fn of_a_compacted_revision_the_last_event_of_each_key_is_left() {
    let mut keyspace = keyspace(&["a=1 b=1", "a=2 b=2 -a"]);
    keyspace.compact(rev(3));
    let change = keyspace.change(rev(3)).unwrap();
    let left = change.events.iter();
    let left: Vec<_> = left
        .map(|e| (e.record.key(), e.record.is_tombstone()))
        .collect();
    assert_eq!(left, [(&b"b"[..], false), (&b"a"[..], true)]);
}

#[test]
fn compaction_keeps_the_revision_it_names_and_drops_those_below() {
    let mut keyspace = keyspace(&["a=1 b=1", "a=2", "-b", "b=3", "-a"]);
    keyspace.compact(rev(4));
    assert_eq!(
        read_at(&keyspace, 3),
        "revision is below the compacted revision 4"
    );
    assert_eq!(read_at(&keyspace, 4), "a=2(2,3,2) | 1");
    assert_eq!(read_at(&keyspace, 5), "a=2(2,3,2) b=3(5,5,1) | 2");
    assert_eq!(
        (
            keyspace.compacted(),
            keyspace.floor(),
            keyspace.first_change()
        ),
        (rev(4), rev(4), rev(4))
    );
    keyspace.compact(rev(2));
    assert_eq!(keyspace.compacted(), rev(4));
    keyspace.compact(rev(99));
    assert_eq!(
        (keyspace.compacted(), keyspace.first_change()),
        (rev(6), rev(6))
    );
    assert_eq!(read(&keyspace, &everything()), "b=3(5,5,1) | 1");
}

#[test]
fn the_change_at_the_compacted_revision_stays_without_what_it_replaced() {
    let mut keyspace = keyspace(&["a=1", "a=2", "a=3", "-a"]);
    keyspace.compact(rev(4));
    let change = keyspace.change(rev(4)).unwrap();
    assert_eq!(
        (show(&change.events[0].record), &change.events[0].previous),
        ("a=3(2,4,3)".into(), &None)
    );
    assert!(keyspace.change(rev(3)).is_none());
    let next = keyspace.change(rev(5)).unwrap();
    assert_eq!(
        next.events[0].previous.as_ref().map(show).unwrap(),
        "a=3(2,4,3)"
    );
    assert_eq!(
        keyspace
            .changes(rev(0))
            .map(|change| change.revision.get())
            .collect::<Vec<_>>(),
        [4, 5]
    );
    assert_eq!(keyspace.changes(rev(5)).count(), 1);
    assert_eq!(keyspace.changes(rev(6)).count(), 0);
    assert_eq!(keyspace.changes(rev(i64::MAX)).count(), 0);
}

#[test]
fn the_window_forgets_by_revisions_and_by_bytes() {
    let mut narrow = Keyspace::new(WindowLimits {
        revisions: 2,
        ..WindowLimits::UNLIMITED
    });
    apply(&mut narrow, &["a=1", "a=2", "-a", "b=1"]);
    assert_eq!((narrow.floor(), narrow.first_change()), (rev(3), rev(4)));
    assert_eq!(
        read_at(&narrow, 2),
        "revision is older than the local history, which begins at 3"
    );
    assert_eq!(read_at(&narrow, 3), "a=2(2,3,2) | 1");
    let mut none = Keyspace::new(WindowLimits {
        bytes: 0,
        ..WindowLimits::UNLIMITED
    });
    apply(&mut none, &["a=1", "a=2", "-a", "b=1"]);
    assert_eq!(
        (none.floor(), none.first_change(), none.history_bytes()),
        (rev(5), rev(6), 0)
    );
    let mut fresh = Keyspace::new(WindowLimits::UNLIMITED);
    apply(&mut fresh, &["b=1"]);
    assert_eq!(none.bytes(), fresh.bytes());
}

#[test]
fn a_pinned_revision_stays_readable_until_it_is_unpinned() {
    let mut keyspace = Keyspace::new(WindowLimits {
        revisions: 1,
        ..WindowLimits::UNLIMITED
    });
    apply(&mut keyspace, &["a=1", "a=2"]);
    keyspace.pin(rev(3));
    keyspace.pin(rev(3));
    apply(&mut keyspace, &["a=3", "-a", "b=1"]);
    assert_eq!(read_at(&keyspace, 3), "a=2(2,3,2) | 1");
    keyspace.unpin(rev(3));
    apply(&mut keyspace, &["b=2"]);
    assert_eq!(read_at(&keyspace, 3), "a=2(2,3,2) | 1");
    keyspace.unpin(rev(3));
    apply(&mut keyspace, &["b=3"]);
    assert_eq!(keyspace.floor(), rev(7));
}

#[test]
fn a_key_written_twice_in_one_revision_has_its_last_version() {
    let mut keyspace = keyspace(&["a=1"]);
    let revision = rev(3);
    let put = successor(&keyspace, "a", "2", revision);
    let create = Record::new(Fields {
        create_revision: revision,
        version: 1,
        ..put.fields()
    });
    let gone = Record::tombstone(b"a", revision);
    let change = keyspace
        .apply(Commit {
            revision,
            records: vec![put, gone.clone(), create, gone],
        })
        .unwrap();
    let previous = change
        .events
        .iter()
        .map(|event| event.previous.as_ref().map(show));
    let first = Some("a=1(2,2,1)".to_string());
    assert_eq!(
        previous.collect::<Vec<_>>(),
        [first.clone(), first.clone(), None, first]
    );
    assert_eq!(read_at(&keyspace, 2), "a=1(2,2,1) | 1");
    assert_eq!(read_at(&keyspace, 3), " | 0");
    keyspace.compact(revision);
    assert_eq!(keyspace.bytes(), 0);
}

#[derive(Clone, Debug)]
enum Action {
    Txn(txn::Txn),
    Range(RangeOp),
    /// A compaction so many revisions below the current one.
    Compact(i64),
}

const ACTIONS: usize = 60;

fn action() -> impl Strategy<Value = Action> {
    let back = ACTIONS as i64;
    prop_oneof![
        8 => model::txn(back).prop_map(Action::Txn),
        3 => model::range_op(back).prop_map(Action::Range),
        1 => (0..20i64).prop_map(Action::Compact),
    ]
}

fn check_range(keyspace: &Keyspace, model: &Model, op: &RangeOp) {
    let mut records = Vec::new();
    let answer = keyspace.range(&op.query(), &mut |record| records.push(record.clone()));
    let at = op.revision.unwrap_or(keyspace.revision());
    let expected = if at > keyspace.revision() {
        Err(ReadError::Future {
            current: keyspace.revision(),
        })
    } else if at < keyspace.compacted() {
        Err(ReadError::Compacted {
            compacted: keyspace.compacted(),
        })
    } else if at < keyspace.floor() {
        Err(ReadError::Forgotten {
            floor: keyspace.floor(),
        })
    } else {
        Ok(model.range(&op.query()))
    };
    assert_eq!(answer.map(|answer| (records, answer)), expected, "{op:?}");
}

fn check_txn(keyspace: &mut Keyspace, model: &mut Model, txn: &txn::Txn) {
    if txn::check(txn, 128).is_err() {
        return;
    }
    let begun = keyspace.revision();
    let planned = keyspace
        .plan(txn, &|_| true)
        .ok()
        .and_then(|(_, commit)| commit);
    let expected = model.transact(txn, keyspace.floor().get());
    let done = keyspace.transact(txn, &|_| true);
    assert_eq!(keyspace.revision().get(), model.revision());
    match done {
        Ok((answer, change)) => {
            assert_eq!(Ok(answer), expected);
            assert_eq!(change.is_some(), keyspace.revision() == begun.next());
            assert_eq!(
                planned.map(|commit| commit.records),
                change.map(|change| change.events.iter().map(|e| e.record.clone()).collect())
            );
        }
        Err(_) => assert!(expected.is_err()),
    }
}

fn check_history(
    keyspace: &Keyspace,
    model: &Model,
    limits: WindowLimits,
    available: RangeInclusive<i64>,
) {
    let first = available
        .start()
        .max(&keyspace.compacted().get())
        .to_owned();
    let window = i64::try_from(limits.revisions).unwrap_or(i64::MAX);
    let kept = first.max(keyspace.revision().get().saturating_sub(window) + 1);
    assert_eq!(
        keyspace.first_change().get(),
        kept.min(keyspace.revision().get() + 1)
    );
    for revision in kept..=*available.end() {
        let events = keyspace.change(rev(revision)).unwrap().events.iter();
        let events: Vec<_> = events
            .map(|event| (event.record.clone(), event.previous.clone()))
            .collect();
        let mut expected = model.events(revision);
        if revision == keyspace.compacted().get() {
            expected
                .iter_mut()
                .for_each(|(_, previous)| *previous = None);
            let later = expected.clone();
            let mut place = 0;
            expected.retain(|(record, _)| {
                place += 1;
                !later[place..]
                    .iter()
                    .any(|(other, _)| other.key() == record.key())
            });
        }
        assert_eq!(events, expected);
    }
    for at in keyspace.floor().get()..=keyspace.revision().get() {
        check_range(
            keyspace,
            model,
            &RangeOp {
                revision: Some(rev(at)),
                ..everything()
            },
        );
    }
    assert_eq!(keyspace.len(), model.state(model.revision()).len());
}

proptest! {
    #[test]
    fn random_histories_read_as_in_the_model(actions in prop::collection::vec(action(), 1..ACTIONS), revisions in prop_oneof![Just(1_000), 0..12usize]) {
        let limits = WindowLimits { revisions, ..WindowLimits::UNLIMITED };
        let (mut keyspace, mut model) = (Keyspace::new(limits), Model::new());
        for action in &actions {
            match action {
                Action::Txn(txn) => check_txn(&mut keyspace, &mut model, txn),
                Action::Range(op) => check_range(&keyspace, &model, op),
                Action::Compact(back) => keyspace.compact(rev((keyspace.revision().get() - back).max(0))),
            }
        }
        check_history(&keyspace, &model, limits, 2..=model.revision());
        // All history reclaimed leaves exactly the live keys.
        keyspace.compact(keyspace.revision());
        let live = model.state(model.revision()).values().cloned();
        prop_assert_eq!(keyspace.bytes(), Keyspace::restore(limits, keyspace.revision(), live).bytes());
    }

    #[test]
    fn a_restored_keyspace_that_follows_equals_one_that_saw_all(txns in prop::collection::vec(model::txn(1), 1..ACTIONS), cut in any::<prop::sample::Index>()) {
        let (mut whole, mut model) = (Keyspace::new(WindowLimits::UNLIMITED), Model::new());
        for txn in &txns {
            check_txn(&mut whole, &mut model, txn);
        }
        let at = cut.index(model.revision() as usize) as i64 + 1;
        let mut restored = Keyspace::restore(WindowLimits::UNLIMITED, rev(at), model.state(at).values().cloned());
        prop_assert_eq!((restored.floor(), restored.first_change()), (rev(at), rev(at + 1)));
        for change in whole.changes(rev(at + 1)) {
            let records = change.events.iter().map(|event| event.record.clone()).collect();
            prop_assert_eq!(&restored.apply(Commit { revision: change.revision, records }).unwrap(), change);
        }
        check_history(&restored, &model, WindowLimits::UNLIMITED, at + 1..=model.revision());
    }
}
