//! `cargo xtask sim`: the simulated world of the link, with one seed after another.
//!
//! Invariant: the seeds given are the seeds run, so what it prints runs again anywhere. It builds the release
//! profile, in which thousands of seeds are seconds. What a seed means is known to the tests.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, workspace::Workspace};

/// How many seeds, from where.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// The first; each run adds one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs them.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut command = command(workspace, options);
    let again = process::typed(&command);
    process::run(&mut command).with_context(|| {
        format!("a seed failed, it is named above; this runs them all again:\n  {again}\n")
    })
}

fn command(workspace: &Workspace, options: &Options) -> Command {
    let package = [
        "test",
        "--release",
        "--locked",
        "--package",
        "meridian-delegate",
    ];
    let mut command = workspace.cargo(package);
    command
        .args(["--test", "sim", "--", "every_seed", "--nocapture"])
        .env("MERIDIAN_SEEDS", options.seeds.to_string())
        .env("MERIDIAN_SEED", options.seed.to_string());
    command
}
