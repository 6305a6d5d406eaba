//! Where this workspace is, and its `cargo`.
//!
//! Owns the paths the subcommands share. Invariant: a nested `cargo` sees the environment a person's own
//! would, without what the outer `cargo run` added about this package, so that nothing is built anew.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand};

/// What `cargo run` tells the program about its own package.
const OUTER: [&str; 4] = [
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
];

/// An opened workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    cargo: OsString,
    metadata: Metadata,
}

impl Workspace {
    /// The workspace this program was built from.
    pub(crate) fn open() -> Result<Self> {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let here =
            env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let metadata = MetadataCommand::new()
            .cargo_path(&cargo)
            .current_dir(PathBuf::from(here))
            .other_options(["--locked".to_owned()])
            .no_deps()
            .exec()
            .context("read `cargo metadata`")?;
        Ok(Self {
            root: metadata.workspace_root.clone().into(),
            cargo,
            metadata,
        })
    }

    /// The folder of the root manifest.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What `cargo metadata` says of the members.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Where `setup` puts what it builds; ignored by git.
    pub(crate) fn tools(&self) -> PathBuf {
        self.root.join(".meridian/tools")
    }

    /// A binary of ours in `profile`'s folder, whether it is built or not.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.metadata
            .target_directory
            .as_std_path()
            .join(profile)
            .join(name)
    }

    /// `cargo` with these arguments, in the root.
    pub(crate) fn cargo<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.program(&self.cargo);
        command.args(arguments);
        command
    }

    /// Another program, in the root.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        for (name, _) in env::vars_os() {
            if name
                .to_str()
                .is_some_and(|name| OUTER.iter().any(|outer| name.starts_with(outer)))
            {
                command.env_remove(name);
            }
        }
        command
    }
}
