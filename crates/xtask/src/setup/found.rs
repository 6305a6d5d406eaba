//! The etcd releases found here, in the places where the tests look.
//!
//! Trusts only what an `etcd` says of itself: one that does not start is not found.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::process;

/// An etcd that starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etcd {
    /// `etcd`.
    pub(crate) server: PathBuf,
    /// As it says itself.
    pub(crate) version: String,
}

impl Etcd {
    /// Those in folders of `tools`, then those on PATH; the first of a version counts, as for the tests.
    pub(crate) fn installed(tools: &Path) -> Vec<Self> {
        let built = tools.read_dir().into_iter().flatten();
        let built = built.filter_map(|entry| Some(entry.ok()?.path()));
        let path = env::var_os("PATH").unwrap_or_default();
        let mut found: Vec<Self> = Vec::new();
        for folder in built.chain(env::split_paths(&path)) {
            let etcd = Self::within(&folder);
            let is_new = |etcd: &Self| found.iter().all(|known| known.version != etcd.version);
            found.extend(etcd.filter(is_new));
        }
        found
    }

    /// The one in `folder`, if server and client are both there.
    pub(crate) fn within(folder: &Path) -> Option<Self> {
        let server = folder.join("etcd");
        if !server.is_file() || !folder.join("etcdctl").is_file() {
            return None;
        }
        let text = process::output(Command::new(&server).arg("--version")).ok()?;
        let version = text
            .lines()
            .find_map(|line| line.strip_prefix("etcd Version: "))?
            .trim()
            .to_owned();
        Some(Self { server, version })
    }
}
