//! A Python environment with the client `etcd3`.
//!
//! Invariant: the folder `venv` holds a Python that imports it, or is not there. Its scripts name the folder
//! they were made in, so only `bin/python` is of use after the move to its place.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{Outcome, put};
use crate::process::{self, Overdue};

/// etcd3 0.12.0 carries messages generated for protobuf 3, which later ones refuse; 3.20.3 also runs, in
/// its pure form, on Pythons newer than itself.
const PACKAGES: [&str; 4] = [
    "etcd3==0.12.0",
    "protobuf==3.20.3",
    "grpcio>=1.60,<2",
    "tenacity<10",
];

/// Some 15 MB from PyPI.
const PIP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Makes it if it is not there.
pub(super) fn take(tools: &Path) -> Result<Outcome> {
    let place = tools.join("venv");
    if imports(&place).is_ok() {
        return Ok(Outcome::Kept(place.display().to_string()));
    }
    let Some(python) = process::on_path("python3") else {
        return Ok(Outcome::Impossible("there is no python3 here".to_owned()));
    };
    let scratch = tempfile::Builder::new()
        .prefix(".building-venv-")
        .tempdir_in(tools)?;
    let made = scratch.path().join("made");
    run(Command::new(python).args(["-m", "venv"]).arg(&made))
        .context("python3 made no environment; Debian keeps that in the package python3-venv")?;
    let mut pip = Command::new(made.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
    ]);
    run(pip.args(PACKAGES))?;
    imports(&made)?;
    put(&made, &place)?;
    Ok(Outcome::Made(place.display().to_string()))
}

fn imports(venv: &Path) -> Result<()> {
    process::output(Command::new(venv.join("bin/python")).args(["-c", "import etcd3"]))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    process::run_within(command, PIP_LIMIT, Overdue::End)
}
