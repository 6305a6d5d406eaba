//! Goal: a banned package is found by its whole name only.

use super::banned;
use crate::tidy::rules::Banned;

const RULE: [Banned; 1] = [Banned {
    package: "ring",
    instead: "aws-lc-rs",
}];

#[test]
fn a_banned_package_is_found() {
    let found = banned(&RULE, "rustls v0.23.0\nring v0.17.14\n");
    assert_eq!(found.len(), 1);
    assert!(
        found[0]
            .to_string()
            .starts_with("Cargo.lock:1: ring is built"),
        "{}",
        found[0]
    );
}

#[test]
fn a_package_that_only_begins_like_it_is_not() {
    assert_eq!(
        banned(&RULE, "ring-buffer v1.0.0\nsmall-ring v0.17.14\n"),
        []
    );
}
