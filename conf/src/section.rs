//! Reads one table of the configuration, field by field, and collects what is wrong.
//!
//! Invariant: a reader that gives `None` has reported at least one problem; reading goes on, so
//! that all of them are seen. Keys that no reader asked for are reported when the section ends.

mod nearest;
mod origin;

use std::{cell::RefCell, collections::HashMap};

use config::{Value, ValueKind};

use crate::problem::Problem;
use nearest::nearest;
use origin::{comes_from_environment, first_from_environment, whole_path};

/// Why a value is not accepted.
pub(crate) struct Wrong {
    pub(crate) wrong: String,
    pub(crate) right: String,
}

impl Wrong {
    pub(crate) fn new(wrong: impl Into<String>, right: impl Into<String>) -> Self {
        Self {
            wrong: wrong.into(),
            right: right.into(),
        }
    }
}

/// Where problems are collected, and where we are.
pub(crate) struct Section<'a> {
    path: String,
    table: HashMap<String, Value>,
    known: Vec<&'static str>,
    problems: &'a RefCell<Vec<Problem>>,
}

/// A value with where it came from.
pub(crate) struct Raw {
    pub(crate) kind: ValueKind,
    pub(crate) from_environment: bool,
}

impl Raw {
    fn new(value: Value) -> Self {
        let from_environment = origin::is_environment(&value);
        Self {
            kind: value.kind,
            from_environment,
        }
    }
}

impl<'a> Section<'a> {
    pub(crate) fn root(
        table: HashMap<String, Value>,
        problems: &'a RefCell<Vec<Problem>>,
    ) -> Section<'a> {
        Self {
            path: String::new(),
            table,
            known: Vec::new(),
            problems,
        }
    }

    /// Whether there is something at `path`, to be read or not.
    pub(crate) fn has(&self, path: &[&str]) -> bool {
        let mut table = &self.table;
        for (depth, key) in path.iter().enumerate() {
            match table.get(*key).map(|value| &value.kind) {
                Some(_) if depth + 1 == path.len() => return true,
                Some(ValueKind::Table(inner)) => table = inner,
                Some(_) | None => return false,
            }
        }
        false
    }

    /// The first value below `key` that the environment sets, should there be one.
    pub(crate) fn set_by_environment(&self, key: &str) -> Option<String> {
        let value = self.table.get(key)?;
        first_from_environment(value).map(|below| match below.is_empty() {
            true => key.to_owned(),
            false => format!("{key}.{below}"),
        })
    }

    /// Reads a table that need not be there; `Some(None)` if it is not.
    pub(crate) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        let Some(raw) = self.take(key) else {
            return Some(None);
        };
        let path = self.at(key);
        let ValueKind::Table(table) = raw.kind else {
            let right = format!("give a table, as in [{path}]");
            self.report(
                key,
                raw.from_environment,
                Wrong::new(not_a("a table", &raw.kind), right),
            );
            return None;
        };
        let mut inner = Section {
            path,
            table,
            known: Vec::new(),
            problems: self.problems,
        };
        let outcome = read(&mut inner);
        inner.finish();
        outcome.map(Some)
    }

    /// Reads a table that must be there; `why` says what it is for.
    pub(crate) fn required_section<T>(
        &mut self,
        key: &'static str,
        why: &str,
        read: impl FnOnce(&mut Section<'a>) -> Option<T>,
    ) -> Option<T> {
        let found = self.section(key, read)?;
        if found.is_none() {
            let right = format!("add [{}], {why}", self.at(key));
            self.report(key, false, Wrong::new("is missing", right));
        }
        found
    }

    /// Reads a value that need not be there; `Some(None)` if it is not.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Raw) -> Result<T, Wrong>,
    ) -> Option<Option<T>> {
        let Some(raw) = self.take(key) else {
            return Some(None);
        };
        match parse(&raw) {
            Ok(value) => Some(Some(value)),
            Err(wrong) => {
                self.report(key, raw.from_environment, wrong);
                None
            }
        }
    }

    /// Reads a value that must be there, because no default could be right.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        right: &str,
        parse: impl FnOnce(&Raw) -> Result<T, Wrong>,
    ) -> Option<T> {
        let found = self.optional(key, parse)?;
        if found.is_none() {
            self.report(key, false, Wrong::new("is missing", right));
        }
        found
    }

    /// Reads a list, or one value that stands for a list of one; a comma-separated text when it
    /// comes from the environment. Each bad entry is reported with its place; equal entries are
    /// a problem.
    pub(crate) fn list<T: PartialEq>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&Raw) -> Result<T, Wrong>,
    ) -> Option<Option<Vec<T>>> {
        let Some(raw) = self.take(key) else {
            return Some(None);
        };
        let from_environment = raw.from_environment;
        let mut list = Vec::new();
        let mut whole = true;
        for (place, entry) in entries(raw).into_iter().enumerate() {
            let outcome = parse(&entry).and_then(|value| match list.contains(&value) {
                true => Err(Wrong::new("is given twice", "keep one of the two")),
                false => Ok(value),
            });
            match outcome {
                Ok(value) => list.push(value),
                Err(wrong) => {
                    self.report(&format!("{key}[{place}]"), from_environment, wrong);
                    whole = false;
                }
            }
        }
        if whole && list.is_empty() {
            self.report(
                key,
                from_environment,
                Wrong::new("is empty", "give one entry at least"),
            );
            return None;
        }
        whole.then_some(Some(list))
    }

    /// Reports a problem with `key` of this section.
    pub(crate) fn report(&self, key: &str, from_environment: bool, wrong: Wrong) {
        let Wrong { wrong, right } = wrong;
        let path = self.at(key);
        self.problems.borrow_mut().push(Problem {
            path,
            from_environment,
            wrong,
            right,
        });
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self) {
        let mut unknown: Vec<_> = self.table.iter().collect();
        unknown.sort_by_key(|(key, _)| *key);
        for (key, value) in unknown {
            let right = match nearest(key, &self.known) {
                Some(known) => format!("did you mean {known}?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let from_environment = comes_from_environment(value);
            let path = if from_environment {
                whole_path(key, value)
            } else {
                key.clone()
            };
            self.report(
                &path,
                from_environment,
                Wrong::new("is not a known key", right),
            );
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Raw> {
        self.known.push(key);
        self.table.remove(key).map(Raw::new)
    }

    fn at(&self, key: &str) -> String {
        match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{}.{key}", self.path),
        }
    }
}

fn entries(raw: Raw) -> Vec<Raw> {
    let Raw {
        kind,
        from_environment,
    } = raw;
    match kind {
        ValueKind::Array(values) => values
            .into_iter()
            .map(|value| Raw {
                kind: value.kind,
                from_environment,
            })
            .collect(),
        ValueKind::String(text) if from_environment => text
            .split(',')
            .map(|entry| ValueKind::String(entry.trim().to_owned()))
            .map(|kind| Raw {
                kind,
                from_environment,
            })
            .collect(),
        kind => vec![Raw {
            kind,
            from_environment,
        }],
    }
}

/// "is a number, not a table".
pub(crate) fn not_a(wanted: &str, found: &ValueKind) -> String {
    let found = match found {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => {
            "a number"
        }
        ValueKind::Float(_) => "a fraction",
        ValueKind::String(_) => "a text",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
    };
    format!("is {found}, not {wanted}")
}
