//! Strides over keyspaces of several shapes: every key once, and few keys counted.

use std::{
    collections::BTreeSet,
    ops::Bound::{Excluded, Included, Unbounded},
};

use super::*;

/// What a snapshot cost.
#[derive(Debug)]
struct Cost {
    pages: usize,
    counted: usize,
}

/// Reads all of `keys` as etcd answers, and checks that each came once and in order.
fn read(keys: &BTreeSet<Vec<u8>>, limit: usize) -> Cost {
    let mut stride = Stride::all();
    let mut cost = Cost {
        pages: 0,
        counted: 0,
    };
    let mut seen: Vec<Vec<u8>> = Vec::new();
    loop {
        let (key, end) = (stride.key().to_vec(), stride.range_end().to_vec());
        assert!(end == LOWEST || key < end, "{key:?} {end:?}");
        let end = if end == LOWEST {
            Unbounded
        } else {
            Excluded(end)
        };
        let range: Vec<&Vec<u8>> = keys.range((Included(key), end)).collect();
        cost.pages += 1;
        cost.counted += range.len();
        let page = &range[..range.len().min(limit)];
        seen.extend(page.iter().map(|key| (*key).clone()));
        let told = Told {
            ends: page
                .first()
                .zip(page.last())
                .map(|(a, b)| (a.as_slice(), b.as_slice())),
            keys: page.len() as i64,
            limit: limit as i64,
            count: range.len() as i64,
            more: page.len() < range.len(),
        };
        if stride.pass(told) == Then::Nothing {
            break;
        }
        assert!(cost.pages < 10 * keys.len() + 100, "it does not end");
    }
    assert!(
        seen.iter().eq(keys.iter()),
        "a key came twice or not at all"
    );
    cost
}

fn named(names: impl IntoIterator<Item = String>) -> BTreeSet<Vec<u8>> {
    names.into_iter().map(String::into_bytes).collect()
}

#[track_caller]
fn check(keys: &BTreeSet<Vec<u8>>, limit: usize, pages_max: usize, counted_per_key_max: usize) {
    let cost = read(keys, limit);
    assert!(
        cost.pages <= pages_max && cost.counted <= counted_per_key_max * keys.len(),
        "{cost:?} for {} keys",
        keys.len()
    );
}

#[test]
fn numbered_keys_cost_a_few_counts_each() {
    let keys = named((0..100_000).map(|i| format!("/registry/pods/{i:08}")));
    check(&keys, 400, 700, 8);
}

#[test]
fn keys_in_namespaces_cost_a_few_counts_each() {
    let name = |i: usize| format!("/registry/pods/ns-{:04}/pod-{:08}", i % 977, i);
    check(&named((0..100_000).map(name)), 400, 1500, 12);
}

#[test]
fn one_heavy_prefix_among_many_light_ones_is_no_trap() {
    let light = (0..2_000).map(|i| format!("{:x}/{i}", i * 7919));
    let heavy = (0..50_000).map(|i| format!("7/heavy/{i}"));
    check(&named(light.chain(heavy)), 200, 900, 12);
}

#[test]
fn random_bytes_of_any_length_come_once_each() {
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..60 {
        let alphabet: &[u8] = if round % 2 == 0 {
            &[0, 1, 0xfe, 0xff]
        } else {
            b"ab\xff"
        };
        let mut key = || {
            let len = random.usize(1..9);
            (0..len)
                .map(|_| alphabet[random.usize(..alphabet.len())])
                .collect()
        };
        let keys: BTreeSet<Vec<u8>> = (0..600).map(|_| key()).collect();
        for limit in [1, 3, 50] {
            read(&keys, limit);
        }
    }
}

#[test]
fn an_empty_keyspace_is_one_page() {
    check(&BTreeSet::new(), 100, 1, 0);
}
