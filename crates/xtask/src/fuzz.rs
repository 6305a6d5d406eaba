//! `cargo xtask fuzz`: hostile bytes for every decoder that has a corpus, for a time.
//!
//! With a nightly toolchain and cargo-fuzz it runs their fuzz targets, one after another; without, the
//! mutation tests of the same subjects on stable. Invariant: it stops at the first finding and says how to
//! see it again. What the decoders are is known to the fuzz folders alone: a file per target.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use crate::{
    process::{self, Overdue},
    workspace::Workspace,
};

/// A crate with a `fuzz` folder: the folder, and the package and test that mutate on stable.
struct Fuzzed {
    folder: &'static str,
    package: &'static str,
    test: &'static str,
}

const FUZZED: &[Fuzzed] = &[Fuzzed {
    folder: "crates/revlog/fuzz",
    package: "meridian-revlog",
    test: "wire",
}];

/// The most memory a subject may take, in MiB: far below the longest frame of 256 MiB that a few bytes
/// can claim, above libFuzzer's own and one window of 16 MiB.
const MEMORY_MIB: u32 = 200;

/// Beyond its time a run builds its targets; ten times what that takes on a busy machine.
const BUILD_MINUTES: u64 = 30;

/// How long, and from where.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Options {
    /// How long in all.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    minutes: u64,
    /// The seed; the same one gives the same bytes.
    #[arg(long)]
    seed: u64,
}

/// Fuzzes everything, each for its share of the time.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let missing = missing(workspace);
    for fuzzed in FUZZED {
        match &missing {
            None => cargo_fuzz(workspace, fuzzed, options)?,
            Some(what) => {
                println!("fuzz: {what}; mutating the corpus on stable instead");
                stable(workspace, fuzzed, options)?;
            }
        }
    }
    println!(
        "fuzz: nothing found in {} min with seed {}",
        options.minutes, options.seed
    );
    Ok(())
}

/// What cargo-fuzz lacks here, if anything.
fn missing(workspace: &Workspace) -> Option<&'static str> {
    let there =
        |arguments: &[&str]| process::output(workspace.program("cargo").args(arguments)).is_ok();
    if !there(&["+nightly", "--version"]) {
        return Some("there is no nightly toolchain");
    }
    if !there(&["+nightly", "fuzz", "--version"]) {
        return Some("there is no cargo-fuzz (`cargo install cargo-fuzz`)");
    }
    None
}

fn cargo_fuzz(workspace: &Workspace, fuzzed: &Fuzzed, options: &Options) -> Result<()> {
    let folder = workspace.root().join(fuzzed.folder);
    let targets = targets(&folder)?;
    let seconds = (options.minutes * 60 / targets.len() as u64).max(1);
    for target in targets {
        println!("fuzz: {target} of {} for {seconds} s", fuzzed.package);
        let mut command = target_command(workspace, &folder, &target)?;
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-seed={}", libfuzzer_seed(options.seed)),
            format!("-rss_limit_mb={}", MEMORY_MIB * 4),
            format!("-malloc_limit_mb={MEMORY_MIB}"),
        ]);
        run_within(&mut command, Duration::from_secs(seconds))?;
    }
    Ok(())
}

/// What is found beside the committed corpus goes to a folder that git ignores.
fn target_command(workspace: &Workspace, folder: &Path, target: &str) -> Result<Command> {
    let found = folder.join("target").join("corpus").join(target);
    let mut command = workspace.program("cargo");
    command
        .args([
            "+nightly",
            "fuzz",
            "run",
            "--sanitizer",
            "none",
            "--fuzz-dir",
        ])
        .arg(folder)
        .arg(target)
        .arg(&found)
        .arg(folder.join("corpus").join(target))
        .arg("--");
    fs::create_dir_all(&found).with_context(|| format!("make {}", found.display()))?;
    Ok(command)
}

/// libFuzzer takes 32 bits, of which zero means a random one.
fn libfuzzer_seed(seed: u64) -> u32 {
    ((seed ^ seed >> 32) as u32).max(1)
}

/// The names of the targets in a fuzz folder, in order.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let entries = fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))?;
    let files = entries.collect::<Result<Vec<_>, _>>()?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = files
        .into_iter()
        .filter_map(|file| stem(file.path()))
        .collect();
    ensure!(
        !names.is_empty(),
        "there are no targets in {}",
        folder.display()
    );
    names.sort();
    Ok(names)
}

fn stable(workspace: &Workspace, fuzzed: &Fuzzed, options: &Options) -> Result<()> {
    let mut command = stable_command(workspace, fuzzed, options);
    run_within(&mut command, Duration::from_secs(options.minutes * 60))
}

fn stable_command(workspace: &Workspace, fuzzed: &Fuzzed, options: &Options) -> Command {
    let mut command =
        workspace.cargo(["test", "--release", "--locked", "--package", fuzzed.package]);
    command
        .args(["--test", fuzzed.test])
        .env("MERIDIAN_SEED", options.seed.to_string())
        .env("MERIDIAN_MINUTES", options.minutes.to_string());
    command
}

fn run_within(command: &mut Command, length: Duration) -> Result<()> {
    let again = process::typed(command);
    let limit = length * 2 + Duration::from_secs(BUILD_MINUTES * 60);
    process::run_within(command, limit, Overdue::Leave).with_context(|| {
        format!("a finding, or it could not run; this runs it again:\n  {again}\n")
    })
}

#[cfg(test)]
mod tests;
