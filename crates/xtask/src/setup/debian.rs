//! Debian's etcd by `apt-get`, where that is possible.
//!
//! Invariant: installing starts no etcd. For as long as it takes, a `policy-rc.d` says so in Debian's own
//! way; a policy that the machine already has is left as it is.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::Outcome;
use crate::process::{self, Overdue};

/// 40 MB over a slow line, twice.
const APT_LIMIT: Duration = Duration::from_secs(10 * 60);

const PACKAGES: [&str; 2] = ["etcd-server", "etcd-client"];

/// What stands in our policy; by it we know our own, should an earlier run have been cut off.
const POLICY: &str = "#!/bin/sh\n# Made by Meridian's `cargo xtask setup` while it installs etcd. If setup is not running, remove it.\nexit 101\n";

/// Installs it if there is no etcd on PATH.
pub(super) fn take(_tools: &Path) -> Result<Outcome> {
    if let (Some(server), Some(_)) = (process::on_path("etcd"), process::on_path("etcdctl")) {
        return Ok(Outcome::Kept(format!(
            "etcd on PATH is {}",
            server.display()
        )));
    }
    let Some(apt) = process::on_path("apt-get") else {
        return Ok(Outcome::Impossible("there is no apt-get here".to_owned()));
    };
    if !rustix::process::geteuid().is_root() {
        return Ok(Outcome::Impossible("only root can run apt-get".to_owned()));
    }
    let debian = Debian {
        apt: vec![apt.into()],
        policy: "/usr/sbin/policy-rc.d".into(),
    };
    debian.install()?;
    let server = process::on_path("etcd").context("apt-get succeeded, yet no etcd is on PATH")?;
    Ok(Outcome::Made(format!(
        "{}; its service was not started",
        server.display()
    )))
}

/// How packages come in.
#[derive(Debug)]
struct Debian {
    apt: Vec<OsString>,
    policy: PathBuf,
}

impl Debian {
    fn install(&self) -> Result<()> {
        let _held = Held::hold(&self.policy)
            .with_context(|| format!("hold services back with {}", self.policy.display()))?;
        if self.apt("install").is_ok() {
            return Ok(());
        }
        // The usual cause on a new machine: no package list yet, or an old one.
        self.apt("update")?;
        self.apt("install")
    }

    fn apt(&self, verb: &str) -> Result<()> {
        let (program, first) = self.apt.split_first().context("apt-get has a name")?;
        let mut command = Command::new(program);
        command.args(first).env("DEBIAN_FRONTEND", "noninteractive");
        command.args(["-qq", "-o", "DPkg::Lock::Timeout=120", verb]);
        if verb == "install" {
            command
                .args(["-y", "--no-install-recommends"])
                .args(PACKAGES);
        }
        process::run_within(&mut command, APT_LIMIT, Overdue::End)
    }
}

/// Services are held back while it lives.
#[derive(Debug)]
struct Held {
    ours: Option<PathBuf>,
}

impl Held {
    fn hold(policy: &Path) -> Result<Self> {
        match fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(policy)
        {
            Ok(mut file) => {
                io::Write::write_all(&mut file, POLICY.as_bytes())?;
                Ok(Self {
                    ours: Some(policy.to_owned()),
                })
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::found(policy),
            Err(error) => Err(error.into()),
        }
    }

    fn found(policy: &Path) -> Result<Self> {
        if fs::read(policy)? == POLICY.as_bytes() {
            return Ok(Self {
                ours: Some(policy.to_owned()),
            });
        }
        // 101 is "forbidden"; anything else might start etcd on its port.
        let verdict = Command::new(policy)
            .args(["etcd", "start"])
            .output()?
            .status
            .code();
        ensure!(
            verdict == Some(101),
            "the machine's own policy would start etcd: install it by hand"
        );
        Ok(Self { ours: None })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.ours.as_ref().map(fs::remove_file) {
            eprintln!(
                "setup: could not remove {:?}, which keeps services from starting: {error}",
                self.ours
            );
        }
    }
}

#[cfg(test)]
mod tests;
