//! Goal: a failure can be run again from what is printed.

use std::process::Command;

use super::{command, world};
use crate::{process, workspace::Workspace};

#[test]
fn a_failure_prints_the_seed_and_the_command() {
    let mut failing = Command::new("false");
    failing.env("MERIDIAN_SEED", "7");
    let text = format!("{:#}", world(&mut failing, 7).unwrap_err());
    assert!(
        text.contains("seed 7 failed") && text.contains("  MERIDIAN_SEED=7 false\n"),
        "{text}"
    );
}

#[test]
fn seed_and_time_reach_the_test() {
    let typed = process::typed(&command(&Workspace::open().unwrap(), 12, 3));
    for told in ["MERIDIAN_SEED=12 ", "MERIDIAN_MINUTES=3 ", "--test faults"] {
        assert!(typed.contains(told), "{typed}");
    }
}
