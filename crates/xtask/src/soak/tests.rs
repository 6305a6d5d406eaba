//! Goal: a failure can be run again from what is printed.

use std::process::Command;

use super::{command, round};
use crate::{process, workspace::Workspace};

#[test]
fn a_failure_prints_the_seed_and_the_command() {
    let mut failing = Command::new("false");
    failing.env("MERIDIAN_SEED", "7");
    let text = format!("{:#}", round(&mut failing, 7).unwrap_err());
    assert!(
        text.contains("seed 7 failed") && text.contains("  MERIDIAN_SEED=7 false\n"),
        "{text}"
    );
}

#[test]
fn the_seed_reaches_the_test() {
    let typed = process::typed(&command(&Workspace::open().unwrap(), "histories", 12));
    assert!(typed.contains("MERIDIAN_SEED=12 "), "{typed}");
    assert!(
        typed.ends_with("cargo test --workspace --locked --test histories"),
        "{typed}"
    );
}
