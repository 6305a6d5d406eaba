//! All nodes as a table: one line each, those that did not answer too.

use anyhow::Result;

use super::{
    all::{AllNodes, NodeAnswer},
    link::{LinkStatus, PeerStatus},
    seen::Seen,
    units::{bytes, millis},
};

const HEADS: [&str; 11] = [
    "node",
    "role",
    "log from",
    "revision",
    "lag",
    "staleness",
    "rtt",
    "wan in/out",
    "lan in/out",
    "ratio",
    "ready",
];

/// What is not told.
const NOTHING: &str = "-";

/// The table for an `/status-all.json`.
pub(super) fn of(document: &str) -> Result<String> {
    Ok(render(&serde_json::from_str(document)?))
}

fn render(all: &AllNodes) -> String {
    let mut nodes: Vec<&NodeAnswer> = all.nodes.iter().collect();
    nodes.sort_by_key(|answer| (&answer.region, &answer.node));
    let lines: Vec<Line> = nodes.into_iter().map(line_of).collect();
    let mut widths = HEADS.map(str::len);
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line.cells()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heads = HEADS.map(str::to_owned);
    let mut text = aligned(&heads, &widths);
    for line in &lines {
        text.push('\n');
        text += &match line {
            Line::Answered(cells) => aligned(cells, &widths),
            Line::Missing { name: [name], why } => {
                format!("{name:<width$}  NO ANSWER: {why}", width = widths[0])
            }
        };
    }
    text
}

enum Line {
    Answered(Vec<String>),
    Missing { name: [String; 1], why: String },
}

impl Line {
    fn cells(&self) -> &[String] {
        match self {
            Self::Answered(cells) => cells,
            Self::Missing { name, why: _ } => name,
        }
    }
}

fn line_of(answer: &NodeAnswer) -> Line {
    let NodeAnswer {
        region,
        node,
        status,
        missing,
    } = answer;
    let name = format!("{region}/{node}");
    let seen = status
        .as_ref()
        .map(|status| serde_json::from_str::<Seen>(status.get()));
    let why = match seen {
        Some(Ok(seen)) => return Line::Answered(cells(name, &seen)),
        Some(Err(error)) => format!("its answer is no status ({error})"),
        None => missing.clone().unwrap_or_else(|| "unknown why".to_owned()),
    };
    Line::Missing { name: [name], why }
}

fn cells(name: String, seen: &Seen) -> Vec<String> {
    let nothing = || NOTHING.to_owned();
    let link = seen.link.as_ref();
    let gateway = seen.gateway.as_ref();
    let of_link = |show: fn(&LinkStatus) -> String| link.map_or_else(nothing, show);
    let revision = gateway
        .map(|gateway| gateway.revision)
        .or(link.map(|link| link.position));
    let staleness = gateway.and_then(|gateway| gateway.staleness_ms);
    vec![
        name,
        of_role(seen),
        of_link(|link| link.source.clone()),
        revision.map_or_else(nothing, |revision| revision.to_string()),
        of_link(lag),
        staleness.map_or_else(nothing, |ms| format!("{ms} ms")),
        of_link(round_trip),
        of_link(|link| pair(link.wan_in_bytes, link.wan_out_bytes)),
        of_link(|link| pair(link.lan_in_bytes, link.lan_out_bytes)),
        link.and_then(|link| link.compression_ratio)
            .map_or_else(nothing, |ratio| format!("{ratio:.1}")),
        match &seen.not_ready {
            None => "yes".to_owned(),
            Some(why) => format!("NO: {why}"),
        },
    ]
}

fn of_role(seen: &Seen) -> String {
    match &seen.link {
        Some(link) if link.role != seen.role => format!("{}, {}", seen.role, link.role),
        Some(_) | None => seen.role.clone(),
    }
}

fn lag(link: &LinkStatus) -> String {
    match link.lag_ms {
        Some(ms) => format!("{} ({ms} ms)", link.lag_revisions),
        None => link.lag_revisions.to_string(),
    }
}

/// That of the link its log comes over.
fn round_trip(link: &LinkStatus) -> String {
    let source = match link.source.as_str() {
        "delegate" => link.delegate.as_ref(),
        _ => link.hub.as_ref(),
    };
    let of_source = |peer: &&PeerStatus| Some(&peer.peer) == source;
    let known = link
        .peers
        .iter()
        .find(of_source)
        .and_then(|peer| peer.rtt_ms);
    known.map_or_else(|| NOTHING.to_owned(), millis)
}

fn pair(received: u64, sent: u64) -> String {
    format!("{} / {}", bytes(received), bytes(sent))
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if place > 0 {
            line.push_str("  ");
        }
        line += &format!("{cell:<width$}");
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests;
