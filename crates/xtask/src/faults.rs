//! `cargo xtask faults`: random faults in emulated regions, one world after another, for a time.
//!
//! Invariant: it stops at the first world that goes wrong and prints the seed and the command that runs just
//! that again. What a fault is, and what must hold after it, is known to the test.

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

/// The test, which is told by its environment.
const TEST: &str = "faults";

/// A world's longest life: some 250 faults, and few enough events for a comparison of all.
const WORLD_MINUTES: u64 = 10;

/// Beyond its life a world is started, mended and judged; ten times what that takes on a busy machine.
const HANGS_AFTER: Duration = Duration::from_secs((WORLD_MINUTES + 20) * 60);

/// The ways over the WAN that worlds take in turn: round trip in ms, packets lost in per cent.
const WAYS: [(u64, u64); 4] = [(80, 0), (220, 0), (80, 1), (20, 0)];

/// How long, and from where.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// How long; the world under way is finished.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: u64,
    /// The first seed; each world adds one.
    #[arg(long)]
    seed: u64,
}

/// One world after another until the time is over.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    test::build(workspace)?;
    let started = Instant::now();
    let length = Duration::from_secs(options.minutes * 60);
    let mut seed = options.seed;
    for (round_trip, loss) in WAYS.iter().cycle() {
        let gone = started.elapsed();
        if gone >= length {
            break;
        }
        let minutes = (length - gone).as_secs().div_ceil(60).min(WORLD_MINUTES);
        println!(
            "faults: seed {seed}, {round_trip} ms, {loss} % lost, {} s of {}",
            gone.as_secs(),
            length.as_secs()
        );
        let mut command = command(workspace, seed, minutes);
        command
            .env("MERIDIAN_RTT_MS", round_trip.to_string())
            .env("MERIDIAN_LOSS", loss.to_string());
        world(&mut command, seed)?;
        seed = seed.wrapping_add(1);
    }
    println!(
        "faults: seeds {} to {} passed in {} s",
        options.seed,
        seed.wrapping_sub(1),
        started.elapsed().as_secs()
    );
    Ok(())
}

fn world(command: &mut Command, seed: u64) -> Result<()> {
    let again = process::typed(command);
    process::run_within(command, HANGS_AFTER, Overdue::Leave)
        .with_context(|| format!("seed {seed} failed; this runs it again:\n  {again}\n"))
}

fn command(workspace: &Workspace, seed: u64, minutes: u64) -> Command {
    // The whole workspace, so that the features and with them the build stay the same.
    let words = [
        "test",
        "--workspace",
        "--locked",
        "--test",
        TEST,
        "--",
        "--nocapture",
    ];
    let mut command = workspace.cargo(words);
    command
        .env("MERIDIAN_SEED", seed.to_string())
        .env("MERIDIAN_MINUTES", minutes.to_string());
    command.env(test::BINARY_VARIABLE, workspace.binary("debug", "meridian"));
    command
}

#[cfg(test)]
mod tests;
