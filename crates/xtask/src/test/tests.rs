//! Goal: what a run tells, and what `--quick` leaves out.

use std::time::Duration;

use super::{LONG, integration_tests, short, summary};
use crate::workspace::Workspace;

#[test]
fn the_summary_tells_each_stage_and_the_sum() {
    let times = [
        ("fmt", Duration::from_millis(1500)),
        ("clippy", Duration::from_secs(60)),
    ];
    assert_eq!(
        summary(&times),
        "all stages passed in 61.5 s: fmt 1.5 s, clippy 60.0 s"
    );
}

#[test]
fn quick_leaves_out_the_long_ones_only() {
    assert_eq!(
        short(["it", "conformance", "golden"].into_iter()),
        ["it", "golden"]
    );
}

#[test]
fn every_long_test_exists() {
    let workspace = Workspace::open().unwrap();
    let names: Vec<_> = integration_tests(&workspace).collect();
    assert!(LONG.iter().all(|name| names.contains(name)), "{names:?}");
}
