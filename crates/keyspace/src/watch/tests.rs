//! Goal: the index finds exactly the watchers that a scan over all of them finds. Method: random
//! insertions, removals and look-ups on a small alphabet, so that ranges touch, nest and repeat.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::WatchIndex;
use crate::KeyRange;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(
        prop::sample::select(vec![0u8, b'a', b'b', b'c', 0xff]),
        0..4,
    )
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        1 => bytes().prop_map(|key| KeyRange::from_wire(&key, &[])),
        4 => (bytes(), bytes()).prop_map(|(key, end)| KeyRange::from_wire(&key, &end)),
        1 => bytes().prop_map(|key| KeyRange::from_wire(&key, &[0])),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(KeyRange, u32),
    Remove(KeyRange, u32),
    RemoveNth(prop::sample::Index),
    Match(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (range(), 0u32..8).prop_map(|(range, id)| Step::Insert(range, id)),
        1 => (range(), 0u32..8).prop_map(|(range, id)| Step::Remove(range, id)),
        2 => any::<prop::sample::Index>().prop_map(Step::RemoveNth),
        4 => bytes().prop_map(Step::Match),
    ]
}

fn check_match(index: &WatchIndex<u32>, model: &[(KeyRange, u32)], key: &[u8]) {
    let mut found = Vec::new();
    index.matches(key, &mut |id| found.push(id));
    found.sort_unstable();
    let mut expected: Vec<u32> = model
        .iter()
        .filter(|(range, _)| range.contains(key))
        .map(|(_, id)| *id)
        .collect();
    expected.sort_unstable();
    assert_eq!(found, expected, "watchers of {key:?}");
}

proptest! {
    #[test]
    fn index_finds_what_a_scan_over_all_watchers_finds(
        steps in prop::collection::vec(step(), 1..200)
    ) {
        let mut index = WatchIndex::new();
        let mut model: Vec<(KeyRange, u32)> = Vec::new();
        for step in steps {
            match step {
                Step::Insert(range, id) => {
                    let new = !model.contains(&(range.clone(), id));
                    prop_assert_eq!(index.insert(&range, id), new);
                    if new {
                        model.push((range, id));
                    }
                }
                Step::Remove(range, id) => {
                    let at = model.iter().position(|entry| *entry == (range.clone(), id));
                    prop_assert_eq!(index.remove(&range, id), at.is_some());
                    at.map(|at| model.swap_remove(at));
                }
                Step::RemoveNth(nth) if !model.is_empty() => {
                    let (range, id) = model.swap_remove(nth.index(model.len()));
                    prop_assert!(index.remove(&range, id));
                }
                Step::RemoveNth(_) => {}
                Step::Match(key) => check_match(&index, &model, &key),
            }
            prop_assert_eq!(index.len(), model.len());
            let ranges: BTreeSet<_> = model
                .iter()
                .filter(|(range, _)| super::single_key(range).is_none())
                .map(|(range, _)| format!("{range:?}"))
                .collect();
            prop_assert_eq!(index.ranges.check(), ranges.len());
        }
    }
}

#[test]
fn many_sorted_ranges_stay_balanced() {
    let mut index = WatchIndex::new();
    let name = |n: u32| format!("/registry/{n:06}/").into_bytes();
    let prefix = |n: u32| {
        let mut end = name(n);
        *end.last_mut().unwrap() += 1;
        KeyRange::from_wire(&name(n), &end)
    };
    for n in 0..20_000 {
        assert!(index.insert(&prefix(n), n));
    }
    assert_eq!(index.ranges.check(), 20_000);
    let mut found = Vec::new();
    index.matches(b"/registry/012345/pod", &mut |id| found.push(id));
    assert_eq!(found, [12_345]);
    for n in (0..20_000).filter(|n| n % 7 != 0) {
        assert!(index.remove(&prefix(n), n));
    }
    assert_eq!(index.ranges.check(), index.len());
}

#[test]
fn thousands_of_watchers_of_one_range_share_a_node() {
    let mut index = WatchIndex::new();
    let all = KeyRange::from_wire(&[0], &[0]);
    for id in 0..10_000u64 {
        assert!(index.insert(&all, id));
    }
    assert_eq!(index.ranges.check(), 1);
    let mut hits = 0;
    index.matches(b"k", &mut |_| hits += 1);
    assert_eq!(hits, 10_000);
    for id in 0..10_000u64 {
        assert!(index.remove(&all, id));
    }
    assert!(index.is_empty());
    assert_eq!(index.ranges.check(), 0);
}

#[test]
fn a_range_that_ends_before_it_begins_matches_nothing() {
    let mut index = WatchIndex::new();
    assert!(index.insert(&KeyRange::from_wire(b"b", b"a"), 1));
    assert_eq!(index.len(), 1);
    index.matches(b"a", &mut |_| panic!("nothing lies in an empty range"));
    index.matches(b"b", &mut |_| panic!("nothing lies in an empty range"));
}
