//! When answers behind the replica mean that the home went back in time.

use super::*;

/// Judges probes behind the replica, one each `pause`; how many until it is a regress.
fn judged_after(pause: Duration, probes: u32) -> Option<u32> {
    let start = Instant::now();
    let mut regress = Regress::default();
    (0..probes).find(|n| {
        let sent = start + pause * *n + Duration::from_nanos(1);
        let facts = Facts {
            revision: Revision::new(5),
            ..Facts::default()
        };
        let answered = sent + pause / 2;
        regress.judge(answered, &Probe { sent, facts }, Revision::new(9))
    })
}

#[test]
fn a_member_that_was_paused_for_a_moment_is_no_regress() {
    assert_eq!(judged_after(Duration::from_micros(500), 1000), None);
}

#[test]
fn answers_behind_the_replica_for_seconds_are_a_regress() {
    let judged = judged_after(Duration::from_millis(250), 100);
    assert!(judged.is_some_and(|n| n < 12), "{judged:?}");
}
