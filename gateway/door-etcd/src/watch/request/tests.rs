//! Goal: a create says to the engine what etcd would take it for.

use super::*;

#[test]
fn an_empty_key_is_the_first_there_can_be() {
    let spec = spec_of(&WatchCreateRequest {
        range_end: vec![0].into(),
        ..Default::default()
    });
    assert_eq!(spec.range, KeyRange::from_wire(&[0], &[0]));
    assert_eq!((spec.id, spec.start), (None, Revision::ZERO));
}

#[test]
fn filters_take_kinds_away_and_unknown_ones_nothing() {
    let create = |filters: Vec<i32>| WatchCreateRequest {
        filters,
        ..Default::default()
    };
    let kinds = |filters| {
        let spec = spec_of(&create(filters));
        (spec.puts, spec.deletes)
    };
    assert_eq!(kinds(vec![]), (Wanted::Yes, Wanted::Yes));
    assert_eq!(kinds(vec![0]), (Wanted::No, Wanted::Yes));
    assert_eq!(kinds(vec![1]), (Wanted::Yes, Wanted::No));
    assert_eq!(kinds(vec![9]), (Wanted::Yes, Wanted::Yes));
}
