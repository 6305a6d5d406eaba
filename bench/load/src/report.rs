//! The form of every benchmark's result: rows with a goal, as JSON and as a table.
//!
//! A row that falls short stays in; a row that was not measured says so with nulls. Nothing here knows what is measured.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::machine::{Machine, commit};

/// One line of the comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was measured.
    pub metric: String,
    /// In which unit.
    pub unit: String,
    /// Our number; none if we were not among the targets.
    pub ours: Option<f64>,
    /// The others' numbers by name.
    pub peers: BTreeMap<String, f64>,
    /// Ours divided by the peer the goal names, or ours itself where the goal is absolute.
    pub ratio: Option<f64>,
    /// What to reach, in words.
    pub goal: String,
    /// Whether it is reached.
    pub holds: Option<bool>,
}

/// What `ours` is held against.
#[derive(Clone, Copy, Debug)]
pub enum Goal<'a> {
    /// At most this many times the peer's number.
    TimesPeer {
        /// Name among the peers.
        peer: &'a str,
        /// Factor.
        factor: f64,
    },
    /// At most this number, in the row's unit.
    AtMost(f64),
    /// Nothing: the number is shown beside this peer's.
    Beside(&'a str),
}

impl Row {
    /// A row; ratio and verdict follow from the goal.
    pub fn new(
        metric: impl Into<String>,
        unit: &str,
        ours: Option<f64>,
        peers: impl IntoIterator<Item = (&'static str, Option<f64>)>,
        goal: Goal<'_>,
    ) -> Self {
        let peers: BTreeMap<String, f64> = peers
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect();
        let times = |peer| ours.zip(peers.get(peer)).map(|(ours, peer)| ours / peer);
        let (ratio, limit, goal) = match goal {
            Goal::TimesPeer { peer, factor } => {
                let goal = format!("≤ {} × {peer}", number(factor));
                (times(peer), Some(factor), goal)
            }
            Goal::AtMost(limit) => {
                let goal = format!("≤ {} {unit}", number(limit));
                (ours, Some(limit), goal.trim_end().to_owned())
            }
            Goal::Beside(peer) => (times(peer), None, "-".to_owned()),
        };
        let holds = ratio.zip(limit).map(|(ratio, limit)| ratio <= limit);
        Self {
            metric: metric.into(),
            unit: unit.to_owned(),
            ours,
            peers,
            ratio,
            goal,
            holds,
        }
    }
}

/// A finished benchmark.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The comparison.
    pub rows: Vec<Row>,
    /// Everything behind it, run by run.
    pub details: Vec<serde_json::Value>,
    /// What it ran on.
    pub machine: Machine,
    /// Load average at the end: the benchmark's own and its neighbours'.
    pub load_after: f64,
    /// Versions of what was compared.
    pub versions: BTreeMap<String, String>,
    /// Commit of the working directory.
    pub commit: String,
    /// Seconds the whole benchmark took.
    pub seconds: f64,
}

impl Report {
    /// An empty report of this machine and commit.
    pub fn begin() -> Self {
        Self {
            rows: Vec::new(),
            details: Vec::new(),
            machine: Machine::here(),
            load_after: 0.0,
            versions: BTreeMap::new(),
            commit: commit(),
            seconds: 0.0,
        }
    }

    /// Writes the JSON form.
    pub fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }

    /// The table a person reads.
    pub fn table(&self) -> String {
        let head = ["metric", "unit", "ours", "peers", "ratio", "goal", "holds"].map(str::to_owned);
        let mut lines = vec![head];
        lines.extend(self.rows.iter().map(cells));
        let mut text = aligned(&lines);
        let machine = &self.machine;
        let _ = write!(
            text,
            "\n{} × {}, load {:.1} before and {:.1} after, commit {}, {:.0} s",
            machine.cpus,
            machine.cpu,
            machine.load_before,
            self.load_after,
            self.commit,
            self.seconds
        );
        for (name, version) in &self.versions {
            let _ = write!(text, "\n{name}: {version}");
        }
        text
    }
}

fn cells(row: &Row) -> [String; 7] {
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), number);
    let peers: Vec<String> = row
        .peers
        .iter()
        .map(|(name, value)| format!("{name} {}", number(*value)))
        .collect();
    let holds = match row.holds {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    [
        row.metric.clone(),
        row.unit.clone(),
        optional(row.ours),
        peers.join(" · "),
        optional(row.ratio),
        row.goal.clone(),
        holds.to_owned(),
    ]
}

/// Columns padded to their widest cell; the last column is not padded.
pub fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(text, "{}", padded.join("  ").trim_end());
    }
    text
}

/// A number with about three digits that matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests;
