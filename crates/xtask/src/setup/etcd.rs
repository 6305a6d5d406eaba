//! etcd of two generations: Debian's 3.4 from its packages, a current 3.6 from its source.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::Step;
use crate::{process, workspace::Workspace};

/// The release that is built; the newest when this was written.
const VERSION: &str = "3.6.16";

/// Each program and the package it is built from.
const PROGRAMS: [(&str, &str); 3] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("etcdctl", "go.etcd.io/etcd/etcdctl/v3"),
    ("etcdutl", "go.etcd.io/etcd/etcdutl/v3"),
];

/// Where the built programs are.
fn folder(workspace: &Workspace) -> PathBuf {
    workspace.tools().join(format!("etcd-{VERSION}"))
}

/// Whether the tests have any etcd to run on.
pub(super) fn is_there(workspace: &Workspace) -> bool {
    is_built(&folder(workspace)) || process::on_path("etcd").is_some()
}

/// Installs the distribution's packages, if we may.
pub(super) fn from_debian() -> Result<Step> {
    if let (Some(etcd), Some(_)) = (process::on_path("etcd"), process::on_path("etcdctl")) {
        return Ok(Step::There(etcd.display().to_string()));
    }
    let Some(apt) = process::on_path("apt-get") else {
        return Ok(Step::Left("there is no apt-get here".to_owned()));
    };
    if !is_root() {
        let why = "not root: run `sudo apt-get install etcd-server etcd-client` yourself";
        return Ok(Step::Left(why.to_owned()));
    }
    process::run(apt_get(&apt).args(["update", "-qq"]))?;
    let packages = ["etcd-server", "etcd-client"];
    process::run(
        apt_get(&apt)
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages),
    )?;
    Ok(Step::Done(packages.join(" ")))
}

fn apt_get(apt: &Path) -> Command {
    let mut command = Command::new(apt);
    // Without a run level the packages start no service: the tests start their own.
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    command
}

fn is_root() -> bool {
    process::ask(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0")
}

/// Builds the current release, if there is Go.
pub(super) fn from_go(workspace: &Workspace) -> Result<Step> {
    let folder = folder(workspace);
    if is_built(&folder) {
        return Ok(Step::There(folder.display().to_string()));
    }
    let Some(go) = process::on_path("go") else {
        let why = "there is no go here; the tests run on Debian's etcd alone";
        return Ok(Step::Left(why.to_owned()));
    };
    let module = workspace.tools().join(format!("build-etcd-{VERSION}"));
    prepare(&module)?;
    build(&go, &module).context("build etcd; the tests run on Debian's alone")?;
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for (program, _) in PROGRAMS {
        fs::rename(module.join(program), folder.join(program))
            .with_context(|| format!("move {program} to {}", folder.display()))?;
    }
    // Only our two small files are left in it; Go's own caches stay where Go keeps them.
    fs::remove_dir_all(&module).with_context(|| format!("remove {}", module.display()))?;
    Ok(Step::Done(folder.display().to_string()))
}

/// A module that wants etcd's programs and nothing else.
fn prepare(module: &Path) -> Result<()> {
    fs::create_dir_all(module).with_context(|| format!("create {}", module.display()))?;
    let imports: String = PROGRAMS
        .iter()
        .map(|(_, package)| format!("import _ \"{package}\"\n"))
        .collect();
    let files = [
        (
            "go.mod",
            "module meridian.invalid/etcd-for-tests\n\ngo 1.24\n".to_owned(),
        ),
        (
            "tools.go",
            format!("//go:build tools\n\npackage tools\n\n{imports}"),
        ),
    ];
    for (name, text) in files {
        let path = module.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn build(go: &Path, module: &Path) -> Result<()> {
    let wanted = PROGRAMS.map(|(_, package)| format!("{package}@v{VERSION}"));
    process::run(in_module(go, module).arg("get").args(wanted))?;
    for (program, package) in PROGRAMS {
        process::run(in_module(go, module).args([
            "build",
            "-trimpath",
            "-ldflags=-s -w",
            "-o",
            program,
            package,
        ]))?;
    }
    Ok(())
}

fn in_module(go: &Path, module: &Path) -> Command {
    let mut command = Command::new(go);
    command
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod");
    command
}

/// Whether all three programs are there and the server is the release we mean.
fn is_built(folder: &Path) -> bool {
    let version = process::ask(Command::new(folder.join("etcd")).arg("--version"));
    PROGRAMS
        .iter()
        .all(|(program, _)| folder.join(program).is_file())
        && version.is_some_and(|text| text.contains(VERSION))
}
