//! `cargo xtask bench NAME`: one benchmark against its peers, on the binaries that are shipped.
//!
//! Owns which benchmarks there are and how their binaries are built. What is measured, and how, is known to
//! `meridian-bench` alone.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, anyhow};

use crate::{process, workspace::Workspace};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// Which benchmark; none lists them.
    name: Option<String>,
    /// Shorter runs: for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Where to write the rows as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Further arguments of the benchmark itself, after `--`.
    #[arg(last = true)]
    more: Vec<String>,
}

/// What is shipped is what is measured, the bare h2 echo beside it included.
const PROFILE: &str = "dist";

struct Bench {
    name: &'static str,
    compares: &'static str,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "gateway",
        compares: "a gateway, etcd, etcd grpc-proxy and a bare h2 echo: throughput, latency, CPU per operation, memory",
    },
    Bench {
        name: "relay",
        compares: "hub, delegates and members against grpc-proxies behind 80 ms: WAN bytes, CPU, latency; QUIC against TCP",
    },
];

/// Builds what the benchmark needs and runs it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let Some(name) = &options.name else {
        println!("{}", list());
        return Ok(());
    };
    let bench = find(name)?;
    let packages = ["--package", "meridian-cli", "--package", "meridian-load"];
    process::run(
        workspace
            .cargo(["build", "--profile", PROFILE, "--locked", "--bins"])
            .args(packages),
    )?;
    process::run(&mut command(
        workspace,
        bench,
        options,
        &env::current_dir()?,
    ))
}

fn find(name: &str) -> Result<&'static Bench> {
    let bench = BENCHES.iter().find(|bench| bench.name == name);
    bench.ok_or_else(|| anyhow!("there is no benchmark {name:?}; {}", list()))
}

fn list() -> String {
    let rows = BENCHES
        .iter()
        .map(|bench| format!("  cargo xtask bench {}   {}", bench.name, bench.compares));
    format!("there are:\n{}", rows.collect::<Vec<_>>().join("\n"))
}

fn command(workspace: &Workspace, bench: &Bench, options: &Options, here: &Path) -> Command {
    let mut command = workspace.program(workspace.binary(PROFILE, "meridian-bench"));
    command
        .arg(bench.name)
        .arg("--meridian-bin")
        .arg(workspace.binary(PROFILE, "meridian"));
    if options.quick {
        command.arg("--quick");
    }
    if let Some(json) = &options.json {
        // It runs in the root, the file was named from here.
        command.arg("--json").arg(here.join(json));
    }
    command.args(&options.more);
    command
}

#[cfg(test)]
mod tests;
