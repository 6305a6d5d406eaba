//! The automation: `cargo xtask setup|test|tidy|bench|sim|soak|faults|fuzz`, a file per subcommand.
//!
//! Owns what a person or CI types to check, test and measure this workspace. Everything it starts has
//! no standard input, so it runs the same in a terminal and in CI. It knows nothing of what the rooms do:
//! only their names, their edges and their binaries.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command tells what it does"
)]

mod bench;
mod faults;
mod fuzz;
mod process;
mod setup;
mod sim;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Meridian's automation.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get what the tests need: etcd (Debian's and a current one), Python's etcd3.
    Setup(setup::Options),
    /// Everything CI runs: fmt, clippy, tidy, doc, setup, build, test.
    Test(test::Options),
    /// Check the edges between rooms and the layout rules.
    Tidy,
    /// Run one benchmark against its peers.
    Bench(bench::Options),
    /// Run the simulated world of the link with one seed after another.
    Sim(sim::Options),
    /// Run the seeded tests with one seed after another for a time.
    Soak(soak::Options),
    /// Give hostile bytes to every decoder for a time.
    Fuzz(fuzz::Options),
    /// Kill, freeze, cut and restart hubs, delegates, members and the home for a time.
    Faults(faults::Options),
}

fn main() -> ExitCode {
    match run(Line::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(line: Line) -> Result<()> {
    let workspace = Workspace::open()?;
    match line.command {
        Command::Setup(options) => setup::run(&workspace, &options),
        Command::Test(options) => test::run(&workspace, &options),
        Command::Tidy => tidy::run(&workspace),
        Command::Bench(options) => bench::run(&workspace, &options),
        Command::Sim(options) => sim::run(&workspace, &options),
        Command::Soak(options) => soak::run(&workspace, &options),
        Command::Fuzz(options) => fuzz::run(&workspace, &options),
        Command::Faults(options) => faults::run(&workspace, &options),
    }
}
