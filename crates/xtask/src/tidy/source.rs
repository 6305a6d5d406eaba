//! The layout rules of source files.
//!
//! Reads what git tracks or would add; what git ignores (and so all generated code) is not ours. Looks at
//! lines and words, not at syntax: a rule is something a reader can see.

use std::fs;

use anyhow::{Context, Result};

use super::{
    finding::Finding,
    rules::{MARKS, NAMELESS, PURE, PURE_INSTEAD, Pure},
};
use crate::{process, workspace::Workspace};

/// One `.rs` file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// From the root.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) text: String,
}

impl Source {
    /// Every source file.
    pub(crate) fn all(workspace: &Workspace) -> Result<Vec<Self>> {
        // CI may hold the clone as another user than the one it was made by.
        let mut git = workspace.program("git");
        git.args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let listed =
            process::output(git.args(["--", "*.rs"])).context("tidy needs git and a clone")?;
        let mut sources = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            let file = workspace.root().join(path);
            // Listed until its removal is committed.
            if file.is_file() {
                let text = fs::read_to_string(&file).with_context(|| format!("read {path}"))?;
                sources.push(Self {
                    path: path.to_owned(),
                    text,
                });
            }
        }
        Ok(sources)
    }

    fn finding(&self, line: usize, wrong: String, right: impl Into<String>) -> Finding {
        Finding::new(&self.path, line, wrong, right)
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// Finds what breaks a layout rule.
pub(crate) fn check(source: &Source, findings: &mut Vec<Finding>) {
    findings.extend(undescribed(source));
    findings.extend(mod_file(source));
    findings.extend(nameless_path(source));
    findings.extend(
        source
            .lines()
            .filter_map(|(number, line)| nameless_module(source, number, line)),
    );
    findings.extend(
        source
            .lines()
            .filter_map(|(number, line)| ownerless(source, number, line)),
    );
    for pure in PURE
        .iter()
        .filter(|pure| source.path.starts_with(pure.folder))
    {
        findings.extend(
            source
                .lines()
                .flat_map(|(number, line)| impure(source, pure, number, line)),
        );
    }
}

fn undescribed(source: &Source) -> Option<Finding> {
    let right = "`//!` on the first line: what the file owns, its invariant, what it does not know";
    let wrong = || {
        source.finding(
            1,
            "the file does not open with its description".to_owned(),
            right,
        )
    };
    (!source.text.starts_with("//!")).then(wrong)
}

fn mod_file(source: &Source) -> Option<Finding> {
    let folder = source.path.strip_suffix("/mod.rs")?;
    Some(source.finding(
        1,
        "a mod.rs".to_owned(),
        format!("{folder}.rs beside the folder"),
    ))
}

fn nameless_path(source: &Source) -> Option<Finding> {
    let path = source.path.strip_suffix(".rs").unwrap_or(&source.path);
    let name = path.split('/').find(|name| is_nameless(name))?;
    let wrong = format!("`{name}` says nothing about what is in it");
    Some(source.finding(1, wrong, "the noun that the code is about"))
}

fn nameless_module(source: &Source, number: usize, line: &str) -> Option<Finding> {
    let mut words = line
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .skip_while(|word| *word != "mod");
    let name = words.nth(1).filter(|name| is_nameless(name))?;
    // A file or folder of that name is found by its path, once.
    let inline = line.trim_end().ends_with('{') && !line.trim_start().starts_with("//");
    let wrong = format!("module `{name}` says nothing about what is in it");
    inline.then(|| source.finding(number, wrong, "the noun that the code is about"))
}

fn is_nameless(name: &str) -> bool {
    NAMELESS
        .iter()
        .any(|nameless| name == *nameless || name.strip_suffix('s') == Some(nameless))
}

fn ownerless(source: &Source, number: usize, line: &str) -> Option<Finding> {
    let mark = MARKS.iter().find(|mark| {
        let mut places = positions(line, mark);
        places.any(|place| !has_owner(line.get(place + mark.len()..).unwrap_or_default()))
    })?;
    let right = format!("{mark}(who): what, or the thing done");
    Some(source.finding(number, format!("a {mark} without an owner"), right))
}

fn has_owner(after: &str) -> bool {
    let owner = after
        .strip_prefix('(')
        .and_then(|rest| rest.split_once(')'));
    owner.is_some_and(|(owner, _)| !owner.trim().is_empty())
}

fn impure(source: &Source, pure: &Pure, number: usize, line: &str) -> Vec<Finding> {
    let code = line.split("//").next().unwrap_or_default();
    let used = pure
        .words
        .iter()
        .filter(|word| positions(code, word).next().is_some());
    let finding =
        |word| source.finding(number, format!("`{word}` in {}", pure.folder), PURE_INSTEAD);
    used.map(finding).collect()
}

/// Where `word` stands as a whole word.
fn positions<'a>(line: &'a str, word: &'a str) -> impl Iterator<Item = usize> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .map(|(place, _)| place)
        .filter(move |&place| {
            let before = line.get(..place).and_then(|text| text.chars().next_back());
            let after = line
                .get(place + word.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(in_word) && !after.is_some_and(in_word)
        })
}

#[cfg(test)]
mod tests;
