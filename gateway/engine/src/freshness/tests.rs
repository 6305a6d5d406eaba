//! Which probes make a replica fresh, and which cannot.

use std::time::Duration;

use super::*;

fn rev(n: i64) -> Revision {
    Revision::new(n)
}

#[test]
fn a_probe_counts_only_when_its_revision_is_applied() {
    let start = Instant::now();
    let mut freshness = Freshness::default();
    freshness.applied(rev(5));
    freshness.answered(start, rev(7));
    assert_eq!(freshness.as_of(), None);
    freshness.applied(rev(6));
    assert_eq!(freshness.as_of(), None);
    freshness.applied(rev(7));
    assert_eq!(freshness.as_of(), Some(start));
}

#[test]
fn an_older_probe_never_makes_the_replica_older() {
    let start = Instant::now();
    let later = start + Duration::from_millis(10);
    let mut freshness = Freshness::default();
    freshness.applied(rev(5));
    freshness.answered(later, rev(5));
    freshness.answered(start, rev(4));
    assert_eq!(freshness.as_of(), Some(later));
}

#[test]
fn waiting_probes_are_bounded() {
    let start = Instant::now();
    let mut freshness = Freshness::default();
    for n in 0..1000 {
        freshness.answered(start, rev(n + 1));
    }
    assert_eq!(freshness.waiting.len(), WAITING_MAX);
}
