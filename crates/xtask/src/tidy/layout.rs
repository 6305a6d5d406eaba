//! How source files are laid out: their opening, their names, their notes.
//!
//! It looks at text, not at syntax: a rule here must be one that text can show.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Names that say nothing of what is inside.
const NOUNLESS: [&str; 8] = [
    "common",
    "helper",
    "helpers",
    "manager",
    "misc",
    "shared_util",
    "util",
    "utils",
];

/// Folders that are not source.
const SKIPPED: [&str; 4] = ["target", ".git", ".meridian", "node_modules"];

/// Rooms whose source may not name the standard library's clock or sockets.
const PURE: [&str; 2] = ["crates/keyspace/src", "crates/revlog/src"];

const IMPURE: [&str; 6] = [
    "Instant::now",
    "SystemTime",
    "std::net",
    "std::thread",
    "tokio::",
    "RandomState",
];

/// Put together so that this file does not break its own rule.
const NOTE: &str = concat!("TO", "DO");

/// The problems of every source file below `root`.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let mut problems = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let place = file.strip_prefix(root).unwrap_or(&file);
        problems.extend(check_file(place, &text));
    }
    Ok(problems)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_ref()) && !name.starts_with("target-") {
                collect(&path, files)?;
            }
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(place: &Path, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut problem = |what: String| problems.push(format!("{}: {what}", place.display()));
    if !text.starts_with("//!") {
        problem(
            "opens without `//!`: say what it owns, its invariant, what it does not know".into(),
        );
    } else if text.starts_with("//! placeholder") {
        problem("is a placeholder: it has no code yet".into());
    }
    if place.file_name().is_some_and(|name| name == "mod.rs") {
        problem("is a mod.rs: name it after its folder, beside it".into());
    }
    for part in place.iter() {
        let stem = Path::new(part)
            .file_stem()
            .unwrap_or(part)
            .to_string_lossy();
        if NOUNLESS.contains(&stem.as_ref()) {
            problem(format!(
                "`{stem}` is no noun of ours: name it after what is inside"
            ));
        }
    }
    for (number, line) in (1..).zip(text.lines()) {
        if has_ownerless_note(line) {
            problem(format!(
                "line {number}: a {NOTE} has an owner, as in {NOTE}(name)"
            ));
        }
        if let Some(module) = nounless_module(line) {
            problem(format!(
                "line {number}: module `{module}` is no noun of ours"
            ));
        }
        if let Some(impure) = impurity(place, line) {
            problem(format!(
                "line {number}: {impure} in a pure room: let the caller give it"
            ));
        }
    }
    problems
}

fn has_ownerless_note(line: &str) -> bool {
    line.match_indices(NOTE).any(|(at, _)| {
        let whole_word = !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &line[at + NOTE.len()..];
        let owned = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let goes_on = rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        whole_word && !goes_on && owned.is_none_or(|(owner, _)| owner.trim().is_empty())
    })
}

fn nounless_module(line: &str) -> Option<&str> {
    let (_, module) = line.trim_start().split_once("mod ")?;
    let declared = line.trim_start().starts_with("mod ") || line.trim_start().starts_with("pub");
    let module = module.trim_end_matches([';', '{', ' ']);
    (declared && NOUNLESS.contains(&module)).then_some(module)
}

fn impurity(place: &Path, line: &str) -> Option<&'static str> {
    let is_pure = PURE.iter().any(|room| place.starts_with(room));
    let is_test = place
        .iter()
        .any(|part| part == "tests" || part == "tests.rs");
    let is_code = !line.trim_start().starts_with("//");
    let applies = is_pure && !is_test && is_code;
    applies
        .then(|| IMPURE.into_iter().find(|impure| line.contains(impure)))
        .flatten()
}

#[cfg(test)]
mod tests;
