//! `cargo xtask tidy`: the edges between rooms and the layout rules, checked.
//!
//! Owns the order of the checks and the report: everything found is told together, each with its place and
//! what would be right there. The rules are data in `rules.rs`; it changes no file.

mod edges;
mod finding;
mod manifest;
mod member;
mod rules;
mod source;
mod tree;

use anyhow::{Result, ensure};

use self::{finding::Finding, member::Member, source::Source};
use crate::workspace::Workspace;

/// Checks everything.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let members = Member::all(workspace)?;
    let sources = Source::all(workspace)?;
    let mut findings = tree::check(workspace)?;
    for member in &members {
        edges::check(member, &mut findings);
        manifest::check(member, &mut findings);
    }
    for source in &sources {
        source::check(source, &mut findings);
    }
    findings.sort();
    report(&findings, members.len(), sources.len())
}

fn report(findings: &[Finding], members: usize, sources: usize) -> Result<()> {
    for finding in findings {
        println!("{finding}");
    }
    ensure!(
        findings.is_empty(),
        "tidy found {} places to mend, listed above",
        findings.len()
    );
    println!("tidy: {members} crates and {sources} files in order");
    Ok(())
}
