//! The etcd releases installed on this machine.
//!
//! Looked for in the workspace's `.meridian/tools`, in `/opt/etcd`, then on PATH (Debian's 3.4.23).
//! A release counts once, the first place wins.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow};

/// A version number of etcd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl Version {
    /// `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut numbers = text.trim().splitn(3, '.').map(str::parse);
        let mut next = || {
            numbers
                .next()
                .context("a version has three numbers")?
                .context("a version is numbers")
        };
        Ok(Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        })
    }
}

/// One installed release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// What `etcd --version` says.
    pub version: Version,
    /// The server.
    pub etcd: PathBuf,
    /// The command line client.
    pub etcdctl: PathBuf,
}

impl Release {
    /// Every release found here, the newest first.
    ///
    /// # Errors
    /// When none is installed.
    pub fn installed() -> Result<&'static [Self]> {
        static FOUND: OnceLock<Vec<Release>> = OnceLock::new();
        let found = FOUND.get_or_init(find);
        if found.is_empty() {
            return Err(anyhow!("no etcd is installed: run `cargo xtask setup`"));
        }
        Ok(found)
    }

    /// The newest release found here.
    ///
    /// # Errors
    /// When none is installed.
    pub fn newest() -> Result<&'static Self> {
        Self::installed()?
            .first()
            .ok_or_else(|| anyhow!("no etcd is installed: run `cargo xtask setup`"))
    }

    /// Whether a watch from a compacted revision still gets the deletions made at it (etcd #19179).
    #[must_use]
    pub fn keeps_deletions_at_compactions(&self) -> bool {
        let fixed = match (self.version.major, self.version.minor) {
            (3, 4) => Version::new(3, 4, 36),
            _ => Version::new(3, 5, 18),
        };
        self.version >= fixed
    }

    /// Whether the server has the options and behaviour of 3.5 and later.
    #[must_use]
    pub fn since(&self, major: u32, minor: u32) -> bool {
        self.version >= Version::new(major, minor, 0)
    }
}

fn find() -> Vec<Release> {
    let mut found: Vec<Release> = Vec::new();
    for folder in folders() {
        let Some(release) = inspect(&folder) else {
            continue;
        };
        if !found.iter().any(|known| known.version == release.version) {
            found.push(release);
        }
    }
    found.sort_by_key(|release| std::cmp::Reverse(release.version));
    found
}

fn folders() -> Vec<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.meridian/tools");
    let mut folders = Vec::new();
    for parent in [tools, PathBuf::from("/opt/etcd")] {
        let Ok(entries) = parent.read_dir() else {
            continue;
        };
        folders.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    folders
}

fn inspect(folder: &Path) -> Option<Release> {
    let (etcd, etcdctl) = (folder.join("etcd"), folder.join("etcdctl"));
    if !etcd.is_file() || !etcdctl.is_file() {
        return None;
    }
    let out = Command::new(&etcd).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("etcd Version: "))?
        .parse()
        .ok()?;
    Some(Release {
        version,
        etcd,
        etcdctl,
    })
}
