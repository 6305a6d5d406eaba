//! `cargo xtask setup`: what the tests need beside the Rust toolchain.
//!
//! Owns the order of the steps and what is told when one is not possible. Invariants: a step that is done is
//! skipped; what a step makes appears whole or not at all; only when no etcd at all is left does setup fail.
//! It starts no service.

mod debian;
mod etcd_build;
mod found;
mod python;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use self::found::Etcd;
use crate::workspace::Workspace;

/// What to get.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Only what no test can do without: one etcd of any version.
    #[arg(long)]
    pub(crate) required_only: bool,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was done before.
    Kept(String),
    /// It is done now.
    Made(String),
    /// This machine cannot do it, and why.
    Impossible(String),
}

struct Step {
    name: &'static str,
    take: fn(&Path) -> Result<Outcome>,
    without: &'static str,
    brings_etcd: bool,
}

const STEPS: [Step; 3] = [
    Step {
        name: "Debian's etcd",
        take: debian::take,
        without: "tests on Debian's etcd 3.4 will be skipped",
        brings_etcd: true,
    },
    Step {
        name: "etcd 3.6.16",
        take: etcd_build::take,
        without: "tests on a current etcd will be skipped",
        brings_etcd: true,
    },
    Step {
        name: "Python's etcd3",
        take: python::take,
        without: "tests with the Python client will be skipped",
        brings_etcd: false,
    },
];

const NO_ETCD: &str = "no etcd was found and none could be got, and tests need one. Do one of these, then run \
    `cargo xtask setup` again: install etcd and etcdctl so that they are on PATH (Debian: \
    `apt-get install etcd-server etcd-client`), or install Go, with which setup builds a current etcd";

/// Takes every step that is not done yet.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = workspace.tools();
    fs::create_dir_all(&tools).with_context(|| format!("make the folder {}", tools.display()))?;
    for step in &STEPS {
        let required = || step.brings_etcd && Etcd::installed(&tools).is_empty();
        if !options.required_only || required() {
            step.tell(&tools);
        }
    }
    let installed = Etcd::installed(&tools);
    if installed.is_empty() {
        bail!(NO_ETCD);
    }
    for etcd in installed {
        println!(
            "setup: tests find etcd {} at {}",
            etcd.version,
            etcd.server.display()
        );
    }
    Ok(())
}

impl Step {
    /// Takes it, and tells how it ended and what follows.
    fn tell(&self, tools: &Path) {
        println!("setup: {} ...", self.name);
        let end = match (self.take)(tools) {
            Ok(Outcome::Kept(what)) => format!("already here: {what}"),
            Ok(Outcome::Made(what)) => format!("done: {what}"),
            Ok(Outcome::Impossible(why)) => format!("left out, as {why}: {}", self.without),
            Err(error) => format!("FAILED: {}\n  cause: {error:#}", self.without),
        };
        println!("setup: {}: {end}", self.name);
    }
}

/// Moves what was made at `made` to `place`, instead of what may be there; both on one file system.
fn put(made: &Path, place: &Path) -> Result<()> {
    if place.exists() {
        let old = made.with_file_name("replaced");
        fs::rename(place, &old)
            .with_context(|| format!("move {} out of the way", place.display()))?;
    }
    fs::rename(made, place).with_context(|| format!("move {} to its place", place.display()))
}

#[cfg(test)]
mod tests;
