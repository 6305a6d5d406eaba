//! A current etcd, built from the Go module proxy.
//!
//! Invariant: the folder `etcd-VERSION` holds server, etcdctl and etcdutl of that version, or is not there.
//! Go's own settings on this machine (proxy, flags, caches) are respected.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Outcome, found::Etcd, put};
use crate::process::{self, Overdue};

const VERSION: &str = "3.6.16";

/// A program's name, and its module under go.etcd.io/etcd.
const PROGRAMS: [(&str, &str); 3] = [
    ("etcd", "server"),
    ("etcdctl", "etcdctl"),
    ("etcdutl", "etcdutl"),
];

/// One command: two cold minutes on two cores, and room for a slow line.
const GO_LIMIT: Duration = Duration::from_secs(15 * 60);

const TOOLS_GO: &str = "//go:build tools

package tools

import (
\t_ \"go.etcd.io/etcd/etcdctl/v3\"
\t_ \"go.etcd.io/etcd/etcdutl/v3\"
\t_ \"go.etcd.io/etcd/server/v3\"
)
";

/// Builds it if it is not there.
pub(super) fn take(tools: &Path) -> Result<Outcome> {
    let place = tools.join(format!("etcd-{VERSION}"));
    if is_whole(&place) {
        return Ok(Outcome::Kept(place.display().to_string()));
    }
    let Some(go) = go() else {
        return Ok(Outcome::Impossible(
            "there is no `go` here to build it with".to_owned(),
        ));
    };
    println!(
        "setup: building etcd {VERSION} with {}: some minutes",
        go.display()
    );
    let scratch = tempfile::Builder::new()
        .prefix(".building-etcd-")
        .tempdir_in(tools)?;
    let made = build(&go, scratch.path())?;
    ensure!(is_whole(&made), "what was built is not etcd {VERSION}");
    put(&made, &place)?;
    Ok(Outcome::Made(place.display().to_string()))
}

fn is_whole(folder: &Path) -> bool {
    PROGRAMS.iter().all(|(name, _)| folder.join(name).is_file())
        && Etcd::within(folder).is_some_and(|etcd| etcd.version == VERSION)
}

/// On PATH, or where Go's own installer puts it.
fn go() -> Option<PathBuf> {
    let usual = || Some(PathBuf::from("/usr/local/go/bin/go")).filter(|path| path.is_file());
    process::on_path("go").or_else(usual)
}

fn build(go: &Path, scratch: &Path) -> Result<PathBuf> {
    let module = scratch.join("module");
    let made = scratch.join("made");
    fs::create_dir(&module).context("make a folder for the Go module")?;
    fs::write(module.join("tools.go"), TOOLS_GO).context("write tools.go")?;
    let packages = PROGRAMS.map(|(_, module)| format!("go.etcd.io/etcd/{module}/v3"));
    let versioned: Vec<String> = packages
        .iter()
        .map(|package| format!("{package}@v{VERSION}"))
        .collect();
    run(go, &module, &["mod", "init", "meridian.invalid/tools"])?;
    run(
        go,
        &module,
        &[
            &["get"],
            versioned
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .as_slice(),
        ]
        .concat(),
    )?;
    for ((name, _), package) in PROGRAMS.iter().zip(&packages) {
        println!("setup: building {name}");
        let out = made.join(name).display().to_string();
        run(
            go,
            &module,
            &[
                "build",
                "-trimpath",
                "-ldflags",
                "-s -w",
                "-o",
                &out,
                package,
            ],
        )?;
    }
    Ok(made)
}

fn run(go: &Path, module: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(go);
    command
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .args(arguments);
    process::run_within(&mut command, GO_LIMIT, Overdue::End)
}
