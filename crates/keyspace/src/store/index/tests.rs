//! Goal: nodes split and merge without losing a key or a count. Method: small nodes (see
//! `NODE_ITEMS_MAX`), random inserts and deletes, every invariant checked after each phase.

use proptest::prelude::*;

use super::*;
use crate::{record::Fields, store::node::NODE_ITEMS_MAX};

fn put(key: &[u8], revision: Revision) -> Record {
    Record::new(Fields {
        key,
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        ..Fields::default()
    })
}

/// All invariants of the module's header, and the memory count by adding up.
fn check(index: &Index) {
    let (mut last, mut live, mut bytes) = (Vec::new(), 0, 0);
    for (b, branch) in index.branches().iter().enumerate() {
        assert!(!branch.items().is_empty() && branch.items().len() < NODE_ITEMS_MAX);
        assert!(b == 0 || *branch.low > *last);
        assert_eq!(branch.low, branch.items()[0].low);
        let mut branch_live = 0;
        for (l, leaf) in branch.items().iter().enumerate() {
            assert!((b, l) == (0, 0) || *leaf.low > *last);
            assert!(!leaf.items().is_empty() && leaf.items().len() < NODE_ITEMS_MAX);
            let mut leaf_live = 0;
            for entry in leaf.items() {
                assert!(entry.key() > &last[..] || last.is_empty());
                assert!(entry.key() >= &*leaf.low);
                assert!(
                    entry.latest().mod_revision() <= leaf.newest && leaf.newest <= branch.newest
                );
                assert!(
                    index
                        .get(entry.key())
                        .is_some_and(|found| found.key() == entry.key())
                );
                leaf_live += usize::from(entry.live().is_some());
                bytes += entry.latest().encoded().len() + VERSION_BYTES + ENTRY_BYTES;
                last = entry.key().to_vec();
            }
            assert_eq!(leaf.live, leaf_live);
            branch_live += leaf_live;
        }
        assert_eq!(branch.live, branch_live);
        live += branch_live;
    }
    assert_eq!((index.live(), index.bytes()), (live, bytes));
}

fn keys(index: &Index) -> Vec<Vec<u8>> {
    let leaves = index.branches().iter().flat_map(|branch| branch.items());
    leaves
        .flat_map(|leaf| leaf.items())
        .map(|entry| entry.key().to_vec())
        .collect()
}

fn check_lifecycle(mut order: Vec<Vec<u8>>, doomed: usize) {
    let mut index = Index::load([]);
    let mut revision = Revision::new(1);
    for key in &order {
        revision = revision.next();
        assert_eq!(index.put(put(key, revision), revision), None);
    }
    check(&index);
    let kept = order.split_off(doomed.min(order.len()));
    for key in &order {
        revision = revision.next();
        assert!(
            index
                .put(Record::tombstone(key, revision), revision)
                .is_some()
        );
        index.reclaim(key, revision);
        assert!(index.get(key).is_none());
    }
    check(&index);
    let mut sorted = kept.clone();
    sorted.sort();
    assert_eq!(keys(&index), sorted);
    for key in &order {
        revision = revision.next();
        index.put(put(key, revision), revision);
    }
    check(&index);
}

#[test]
fn rising_falling_and_emptied_keys_keep_the_invariants() {
    let rising: Vec<_> = (0..700u32)
        .map(|n| format!("key/{n:06}").into_bytes())
        .collect();
    let falling: Vec<_> = rising.iter().rev().cloned().collect();
    for order in [rising, falling] {
        for doomed in [0, 1, 350, 650, 700] {
            check_lifecycle(order.clone(), doomed);
        }
    }
}

#[test]
fn loading_takes_sorted_records_and_puts_strays_where_they_belong() {
    let revision = Revision::new(9);
    let record = |n: u32| put(format!("key/{n:04}").as_bytes(), revision);
    for len in [0, 1, 6, 7, 8, 49, 50, 500] {
        let index = Index::load((0..len).map(record));
        check(&index);
        assert_eq!(index.live(), len as usize);
    }
    let index = Index::load([3, 1, 5, 5, 2, 4].map(record));
    check(&index);
    assert_eq!(keys(&index), keys(&Index::load((1..6).map(record))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn keys_in_any_order_keep_the_invariants(
        order in prop::collection::hash_set("[ab]{0,6}[c-z]", 0..300), doomed in 0..300usize,
    ) {
        check_lifecycle(order.into_iter().map(String::into_bytes).collect(), doomed);
    }
}
