//! Goal: rates are per second whatever the interval, and a line reads the same in both forms.

use super::*;

#[test]
fn rates_are_per_second() {
    assert_eq!(rate(100, Duration::from_secs(5)), 20);
    assert_eq!(rate(100, Duration::from_millis(500)), 200);
    assert_eq!(rate(100, Duration::ZERO), 0);
}

#[test]
fn a_line_tells_revision_staleness_and_rates() {
    let sample = Sample {
        revision: 7,
        staleness: Some(Duration::from_micros(41_900)),
        reads_per_second: 3,
        writes_per_second: 1,
        connections: 2,
    };
    let wanted = "eu: revision 7, staleness 41 ms, 3 reads/s, 1 writes/s, 2 connections";
    assert_eq!(render("eu", &sample), wanted);
    let unknown = Sample {
        staleness: None,
        ..sample
    };
    assert!(render("eu", &unknown).contains("staleness unknown"));
}
