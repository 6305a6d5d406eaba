//! Packages that no build of ours may contain.
//!
//! Asks `cargo tree` for this machine's platform: the lock file and the resolve of `cargo metadata` also
//! list what weak features name and no build contains.

use anyhow::Result;

use super::{
    finding::Finding,
    rules::{BANNED, Banned},
};
use crate::{process, workspace::Workspace};

/// Finds the banned packages.
pub(crate) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let arguments = [
        "tree",
        "--locked",
        "--workspace",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
    ];
    let tree = process::output(workspace.cargo(arguments).args(["--format", "{p}"]))?;
    Ok(banned(BANNED, &tree))
}

fn banned(rules: &[Banned], tree: &str) -> Vec<Finding> {
    let present = |rule: &&Banned| {
        tree.lines()
            .any(|line| line.split(' ').next() == Some(rule.package))
    };
    let finding = |rule: &Banned| {
        let package = rule.package;
        let wrong = format!(
            "{package} is built (`cargo tree --workspace -i {package}` tells through what)"
        );
        Finding::new("Cargo.lock", 1, wrong, rule.instead)
    };
    rules.iter().filter(present).map(finding).collect()
}

#[cfg(test)]
mod tests;
