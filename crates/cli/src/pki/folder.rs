//! The folder of an authority: `ca.crt`, `ca.key`, and `REGION/NAME.crt` and `.key` of each node.
//!
//! Invariants: key files are readable by their owner only, from their first byte; a file is whole
//! or not there, so that a node that reads it again never sees half of it; what is there stays,
//! unless it may be replaced.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::authority::{Authority, Issued, Subject};

/// Keys are their owner's alone.
const KEY_MODE: u32 = 0o600;

/// Certificates are for everybody.
const CERT_MODE: u32 = 0o644;

/// A PEM file of ours is below a kilobyte.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// What becomes of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced.
    Replace,
}

impl Existing {
    pub(super) fn from_force(force: bool) -> Self {
        if force { Self::Replace } else { Self::Keep }
    }
}

/// What a node's `[link]` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeFiles {
    pub(crate) ca: PathBuf,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// The folder of an authority that can sign.
pub(crate) struct Folder {
    dir: PathBuf,
    authority: Authority,
}

impl Folder {
    /// Refuses if something is in the way of [`Folder::found`] and of the certificates of `nodes`.
    pub(super) fn check_free(dir: &Path, nodes: &[Subject], existing: Existing) -> Result<()> {
        let nodes = nodes.iter().map(|subject| files_of(dir, subject));
        let all = nodes.flat_map(|files| [files.cert, files.key]);
        refuse_existing([ca(dir), ca_key(dir)].into_iter().chain(all), existing)
            .context("`meridian pki issue` adds nodes to an authority")
    }

    /// Makes an authority in `dir`.
    ///
    /// # Errors
    /// If there is one and it may not be replaced; if `dir` cannot be written.
    pub(crate) fn found(dir: &Path, existing: Existing) -> Result<Self> {
        refuse_existing([ca(dir), ca_key(dir)], existing)?;
        let (authority, files) = Authority::found()?;
        write_pair(&ca(dir), &ca_key(dir), &files, existing)?;
        let dir = dir.to_owned();
        Ok(Self { dir, authority })
    }

    /// Opens the authority in `dir`.
    ///
    /// # Errors
    /// If there is none that can be read and used.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let missing = || {
            format!(
                "no authority in {}; `meridian pki init` makes one",
                dir.display()
            )
        };
        let files = Issued {
            cert: read(&ca(dir)).with_context(missing)?,
            key: read(&ca_key(dir)).with_context(missing)?,
        };
        let authority = Authority::open(&files).with_context(|| {
            format!(
                "{} is of no use; `meridian pki init --force` begins anew",
                dir.display()
            )
        })?;
        let dir = dir.to_owned();
        Ok(Self { dir, authority })
    }

    /// Makes the certificate and the key of a node.
    ///
    /// # Errors
    /// If they are there and may not be replaced; if they cannot be written.
    pub(crate) fn issue(&self, subject: &Subject, existing: Existing) -> Result<NodeFiles> {
        let files = files_of(&self.dir, subject);
        refuse_existing([files.cert.clone(), files.key.clone()], existing)?;
        let issued = self.authority.issue(subject)?;
        write_pair(&files.cert, &files.key, &issued, existing)?;
        Ok(files)
    }

    /// The authority's certificate.
    pub(super) fn ca(&self) -> PathBuf {
        ca(&self.dir)
    }

    /// The authority's key.
    pub(super) fn ca_key(&self) -> PathBuf {
        ca_key(&self.dir)
    }
}

fn ca(dir: &Path) -> PathBuf {
    dir.join("ca.crt")
}

fn ca_key(dir: &Path) -> PathBuf {
    dir.join("ca.key")
}

/// A folder for each region: a dash in a name cannot make two nodes share a file.
fn files_of(dir: &Path, subject: &Subject) -> NodeFiles {
    let region = dir.join(&subject.node.region);
    let name = &subject.node.name;
    NodeFiles {
        ca: ca(dir),
        cert: region.join(format!("{name}.crt")),
        key: region.join(format!("{name}.key")),
    }
}

fn refuse_existing(paths: impl IntoIterator<Item = PathBuf>, existing: Existing) -> Result<()> {
    match existing {
        Existing::Replace => return Ok(()),
        Existing::Keep => {}
    }
    let there: Vec<String> = paths
        .into_iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .map(|path| path.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(());
    }
    bail!("there already: {}; --force overwrites", there.join(", "))
}

fn read(path: &Path) -> Result<String> {
    let wrong = || format!("read {}", path.display());
    let bytes = fs::metadata(path).with_context(wrong)?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("{} is no PEM file: it has {bytes} bytes", path.display());
    }
    fs::read_to_string(path).with_context(wrong)
}

fn write_pair(cert: &Path, key: &Path, issued: &Issued, existing: Existing) -> Result<()> {
    if let Some(folder) = cert.parent() {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    write(key, &issued.key, KEY_MODE, existing)?;
    write(cert, &issued.cert, CERT_MODE, existing)
}

/// Writes beside the place and moves into it.
fn write(path: &Path, text: &str, mode: u32, existing: Existing) -> Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let written = write_draft(&draft, text, mode).and_then(|()| match existing {
        Existing::Replace => fs::rename(&draft, path),
        // A link is refused where a file is; a move would replace it.
        Existing::Keep => fs::hard_link(&draft, path).and_then(|()| fs::remove_file(&draft)),
    });
    written.with_context(|| format!("write {}", path.display()))
}

fn write_draft(draft: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Left by a process that was killed, or not there.
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
