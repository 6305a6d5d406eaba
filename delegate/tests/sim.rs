//! The machines of the link in a simulated world: hubs, regions, links, faults, all from one seed.
//!
//! Goal: a log without gap or duplicate at every node, two seconds to recover from any single fault, one copy per
//! region once settled, no node that feeds itself. Method: the real machines, windows, encoders and decoders
//! under small drivers; a failing seed is printed and runs again alone by `MERIDIAN_SEED` and `MERIDIAN_SEEDS=1`.

#![allow(clippy::print_stdout, reason = "a failing seed tells its story")]

mod sim {
    pub(crate) mod home;
    pub(crate) mod hub;
    pub(crate) mod net;
    pub(crate) mod node;
    pub(crate) mod relay;
    pub(crate) mod shape;
    pub(crate) mod story;
    pub(crate) mod trace;
    pub(crate) mod world;
}

use sim::{shape::Bug, story};

/// Seeds of a run in `cargo test`: some seconds.
const SEEDS: u64 = 150;

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().expect("a number"),
        Err(_) => default,
    }
}

fn explain(seed: u64, outcome: &story::Outcome) -> String {
    let again = story::tell(seed, |shape| shape.is_traced = true);
    if std::env::var_os("MERIDIAN_TRACE").is_some() {
        for line in &again.trace {
            println!("{line}");
        }
    }
    format!(
        "seed {seed}: {}\n  {}\nrun it again: MERIDIAN_SEED={seed} MERIDIAN_SEEDS=1 MERIDIAN_TRACE=1 \
         cargo test -p meridian-delegate --test sim every_seed -- --nocapture",
        outcome.faults.join("; "),
        outcome.story.join("\n  "),
    )
}

#[test]
fn every_seed_recovers_without_a_gap() {
    let first = number("MERIDIAN_SEED", 1);
    let count = number("MERIDIAN_SEEDS", SEEDS);
    let mut failed = Vec::new();
    let mut slowest = (std::time::Duration::ZERO, 0);
    for seed in first..first.saturating_add(count) {
        let outcome = story::tell(seed, |_| {});
        slowest = slowest.max((outcome.slowest, seed));
        if !outcome.faults.is_empty() {
            println!("{}", explain(seed, &outcome));
            failed.push(seed);
            if failed.len() >= 10 {
                break;
            }
        }
    }
    println!(
        "{count} seeds from {first}; the slowest recovery took {:?} (seed {})",
        slowest.0, slowest.1
    );
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1..20 {
        let run = || story::tell(seed, |shape| shape.is_traced = true);
        let (one, two) = (run(), run());
        assert_eq!(one.trace, two.trace, "seed {seed}");
        assert_eq!(one.hash, two.hash, "seed {seed}");
    }
    let hash = |seed| story::tell(seed, |shape| shape.is_traced = true).hash;
    assert_ne!(hash(1), hash(2));
}

#[test]
fn a_batch_that_a_relay_drops_is_found() {
    for seed in 1..20 {
        let outcome = story::tell(seed, |shape| shape.bug = Bug::DropBatch(40));
        let is_found = outcome
            .faults
            .iter()
            .any(|fault| fault.contains("arrived where") || fault.contains("not at hand"));
        assert!(is_found, "seed {seed}: {:?}", outcome.faults);
    }
}

#[test]
fn a_hub_that_serves_an_older_epoch_is_found() {
    for seed in 1..20 {
        let outcome = story::tell(seed, |shape| {
            shape.bug = Bug::OlderEpoch;
            shape.hubs = 1;
        });
        let is_found = outcome
            .faults
            .iter()
            .any(|fault| fault.contains("which is over"));
        assert!(is_found, "seed {seed}: {:?}", outcome.faults);
    }
}
