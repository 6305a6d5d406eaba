//! `cargo xtask soak`: the seeded tests with one seed after another, for a time.
//!
//! Invariant: it stops at the first failure and prints the seed and the command that runs just that again.
//! A run that does not end is left as it hangs, to be looked at. What a seed means is known to the tests.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    process::{self, Overdue},
    test,
    workspace::Workspace,
};

/// The tests that honour a seed.
const SEEDED: [&str; 2] = ["differential", "histories"];

/// What a run is given: the longest a test should go on with one seed.
const SLICE_MINUTES: u64 = 1;

/// Beyond its slice a test starts and stops clusters; ten times what that takes on a busy machine.
const HANGS_AFTER: Duration = Duration::from_secs((SLICE_MINUTES + 20) * 60);

/// How long, and from where.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// How long; the round under way is finished.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: u64,
    /// The first seed; each round adds one.
    #[arg(long)]
    seed: u64,
}

/// Rounds of every seeded test until the time is over.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    test::build(workspace)?;
    let started = Instant::now();
    let length = Duration::from_secs(options.minutes * 60);
    let mut seed = options.seed;
    loop {
        for name in SEEDED {
            println!(
                "soak: {name} with seed {seed}, {} s of {}",
                started.elapsed().as_secs(),
                length.as_secs()
            );
            round(&mut command(workspace, name, seed), seed)?;
        }
        if started.elapsed() >= length {
            break;
        }
        seed = seed.wrapping_add(1);
    }
    println!(
        "soak: seeds {} to {seed} passed in {} s",
        options.seed,
        started.elapsed().as_secs()
    );
    Ok(())
}

fn round(command: &mut Command, seed: u64) -> Result<()> {
    let again = process::typed(command);
    process::run_within(command, HANGS_AFTER, Overdue::Leave)
        .with_context(|| format!("seed {seed} failed; this runs it again:\n  {again}\n"))
}

fn command(workspace: &Workspace, name: &str, seed: u64) -> Command {
    // The whole workspace, so that the features and with them the build stay the same.
    let mut command = workspace.cargo(["test", "--workspace", "--locked", "--test", name]);
    command
        .env("MERIDIAN_SEED", seed.to_string())
        .env("MERIDIAN_MINUTES", SLICE_MINUTES.to_string());
    command.env(test::BINARY_VARIABLE, workspace.binary("debug", "meridian"));
    command
}

#[cfg(test)]
mod tests;
