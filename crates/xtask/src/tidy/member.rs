//! A crate of the workspace as the rules see it.
//!
//! Owns the reading: names and dependencies from `cargo metadata`, lines from the manifest's own text.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// One member.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Its crate name.
    pub(crate) name: String,
    /// Its manifest, from the root.
    pub(crate) manifest: String,
    /// The manifest's text.
    pub(crate) text: String,
    /// What it depends on, of every kind.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A dependency of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package.
    pub(crate) package: String,
    /// What the manifest calls it.
    pub(crate) key: String,
}

impl Member {
    /// Every member of the workspace.
    pub(crate) fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        let packages = workspace.metadata().workspace_packages();
        packages
            .into_iter()
            .map(|package| Self::read(package, workspace.root()))
            .collect()
    }

    fn read(package: &cargo_metadata::Package, root: &Path) -> Result<Self> {
        let path = package.manifest_path.as_std_path();
        let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        let dependencies = package.dependencies.iter().map(|dependency| Dependency {
            package: dependency.name.clone(),
            key: dependency
                .rename
                .clone()
                .unwrap_or_else(|| dependency.name.clone()),
        });
        Ok(Self {
            name: package.name.to_string(),
            manifest: path
                .strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string(),
            text,
            dependencies: dependencies.collect(),
        })
    }

    /// The line that names the dependency `key`; the first line when the manifest hides it well.
    pub(crate) fn line_of(&self, key: &str) -> usize {
        let names = |line: &str| {
            let rest = line.trim_start().strip_prefix(key)?;
            rest.starts_with(['.', ' ', '=']).then_some(())
        };
        let in_table = |line: &str| {
            let rest = line.trim().strip_prefix('[')?.strip_suffix(']')?;
            (rest.rsplit('.').next()? == key).then_some(())
        };
        let found = self
            .text
            .lines()
            .position(|line| names(line).or_else(|| in_table(line)).is_some());
        found.map_or(1, |index| index + 1)
    }
}
