//! `cargo xtask test`: everything CI runs, stage by stage.
//!
//! Invariants: the first stage that fails ends the run and is named; the output of cargo's own test runs
//! reaches standard output as it is. Nothing is built twice: the binary that integration tests start is
//! built with the same packages and targets selected as the tests, and so with the same features.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{process, setup, tidy, workspace::Workspace};

/// Integration binaries that take minutes; `--quick` leaves them out.
const LONG: [&str; 6] = [
    "conformance",
    "differential",
    "histories",
    "clients",
    "regions",
    "faults",
];

/// Where integration tests look for the binary.
pub(crate) const BINARY_VARIABLE: &str = "MERIDIAN_BIN";

/// How much to test.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave out optional tools and the integration tests that take minutes.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Format,
    Clippy,
    Tidy,
    Doc,
    Setup,
    Build,
    Test,
}

const STAGES: [Stage; 7] = [
    Stage::Format,
    Stage::Clippy,
    Stage::Tidy,
    Stage::Doc,
    Stage::Setup,
    Stage::Build,
    Stage::Test,
];

/// Runs every stage.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut times = Vec::new();
    for stage in STAGES {
        let name = stage.name();
        println!("==> {name}");
        let started = Instant::now();
        let outcome = stage.run(workspace, *options);
        let seconds = started.elapsed().as_secs_f64();
        outcome.with_context(|| format!("stage {name} failed after {seconds:.1} s"))?;
        println!("<== {name} passed in {seconds:.1} s");
        times.push((name, started.elapsed()));
    }
    println!("{}", summary(&times));
    Ok(())
}

fn summary(times: &[(&str, Duration)]) -> String {
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    let each: Vec<_> = times
        .iter()
        .map(|(name, time)| format!("{name} {:.1} s", time.as_secs_f64()))
        .collect();
    format!(
        "all stages passed in {:.1} s: {}",
        total.as_secs_f64(),
        each.join(", ")
    )
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Format => "fmt",
            Self::Clippy => "clippy",
            Self::Tidy => "tidy",
            Self::Doc => "doc",
            Self::Setup => "setup",
            Self::Build => "build",
            Self::Test => "test",
        }
    }

    fn run(self, workspace: &Workspace, options: Options) -> Result<()> {
        match self {
            Self::Format => process::run(&mut workspace.cargo(["fmt", "--all", "--check"]))
                .context("`cargo fmt --all` mends it"),
            Self::Clippy => {
                let arguments = ["clippy", "--workspace", "--all-targets", "--locked"];
                process::run(workspace.cargo(arguments).args(["--", "-D", "warnings"]))
            }
            Self::Tidy => tidy::run(workspace),
            Self::Doc => {
                let mut doc = workspace.cargo(["doc", "--workspace", "--no-deps", "--locked"]);
                process::run(doc.env("RUSTDOCFLAGS", "-D warnings"))
            }
            Self::Setup => setup::run(
                workspace,
                &setup::Options {
                    required_only: options.quick,
                },
            ),
            Self::Build => build(workspace),
            Self::Test => test(workspace, options),
        }
    }
}

/// Builds the binaries and tests of the whole workspace, with the features that the tests are run with.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(["build", "--workspace", "--bins", "--tests", "--locked"]))
}

fn test(workspace: &Workspace, options: Options) -> Result<()> {
    let mut command = workspace.cargo(["test", "--workspace", "--locked"]);
    if options.quick {
        command.args(["--lib", "--bins"]);
        for name in short(integration_tests(workspace)) {
            command.args(["--test", name]);
        }
    }
    process::run(command.env(BINARY_VARIABLE, workspace.binary("debug", "meridian")))
}

fn integration_tests(workspace: &Workspace) -> impl Iterator<Item = &str> {
    let targets = workspace
        .metadata()
        .workspace_packages()
        .into_iter()
        .flat_map(|package| &package.targets);
    targets
        .filter(|target| target.is_test())
        .map(|target| target.name.as_str())
}

fn short<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.filter(|name| !LONG.contains(name)).collect()
}

#[cfg(test)]
mod tests;
