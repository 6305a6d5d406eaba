//! What every manifest inherits from the root: lints, package fields, versions.
//!
//! Invariant: no crate has a version or a lint table of its own.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{finding::Finding, member::Member, rules::INHERITED};

const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Finds what a manifest keeps to itself.
pub(crate) fn check(member: &Member, findings: &mut Vec<Finding>) {
    let Ok(document) = DeTable::parse(&member.text) else {
        let wrong = "not readable as TOML".to_owned();
        findings.push(Finding::new(
            &member.manifest,
            1,
            wrong,
            "a manifest that cargo reads",
        ));
        return;
    };
    let table = document.get_ref();
    lints(member, table, findings);
    package(member, table, findings);
    dependencies(member, table, findings);
    for (_, target) in child(table, "target").into_iter().flatten() {
        if let Some(target) = target.get_ref().as_table() {
            dependencies(member, target, findings);
        }
    }
}

fn lints(member: &Member, table: &DeTable<'_>, findings: &mut Vec<Finding>) {
    if !table.get("lints").is_some_and(inherits) {
        let line = table.get("lints").map_or(1, |lints| line(member, lints));
        let wrong = "does not inherit the lints".to_owned();
        findings.push(Finding::new(
            &member.manifest,
            line,
            wrong,
            "[lints] with workspace = true",
        ));
    }
}

fn package(member: &Member, table: &DeTable<'_>, findings: &mut Vec<Finding>) {
    let package = child(table, "package");
    for field in INHERITED {
        let value = package.and_then(|package| package.get(*field));
        if !value.is_some_and(inherits) {
            let line = value.map_or_else(|| member.line_of("name"), |value| line(member, value));
            let wrong = format!("{field} is not the workspace's");
            findings.push(Finding::new(
                &member.manifest,
                line,
                wrong,
                format!("{field}.workspace = true"),
            ));
        }
    }
}

fn dependencies(member: &Member, table: &DeTable<'_>, findings: &mut Vec<Finding>) {
    for (name, value) in KINDS.iter().filter_map(|kind| child(table, kind)).flatten() {
        if !inherits(value) {
            let name = name.get_ref();
            let wrong = format!("{name} has a version of its own");
            let right = format!("{name}.workspace = true, and its version in the root Cargo.toml");
            findings.push(Finding::new(
                &member.manifest,
                line(member, value),
                wrong,
                right,
            ));
        }
    }
}

fn child<'a, 'i>(table: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    table.get(key)?.get_ref().as_table()
}

fn inherits(value: &Spanned<DeValue<'_>>) -> bool {
    let flag = value.get_ref().get("workspace");
    flag.and_then(|flag| flag.get_ref().as_bool()) == Some(true)
}

fn line(member: &Member, value: &Spanned<DeValue<'_>>) -> usize {
    let before = member.text.get(..value.span().start).unwrap_or_default();
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests;
