//! The part of the page that tells of a node's links.

use std::fmt::Write;

use crate::status::{
    link::{LinkStatus, PeerStatus, RegionNodeStatus, RegionStatus, SnapshotStatus},
    units::{bytes, millis},
};

/// Rows of the page, name and value.
pub(super) fn rows(link: &LinkStatus) -> Vec<(&'static str, String)> {
    let mut rows = vec![("link", place(link))];
    if let Some(delegate) = &link.delegate {
        rows.push(("delegate", format!("{delegate} (term {})", link.term)));
    }
    rows.push(("position", position(link)));
    rows.push(("wan", way(link.wan_in_bytes, link.wan_out_bytes)));
    let lan = way(link.lan_in_bytes, link.lan_out_bytes);
    rows.push(("lan", lan));
    rows.push(("log readers", link.direct_members.to_string()));
    if let Some(ratio) = link.compression_ratio {
        let (raw, coded) = (bytes(link.raw_bytes), bytes(link.coded_bytes));
        rows.push(("compression", format!("{ratio:.1} ({raw} as {coded})")));
    }
    rows.push(("window", window(link)));
    if let Some(SnapshotStatus {
        keys_done,
        keys_total,
    }) = &link.snapshot
    {
        rows.push(("snapshot", format!("{keys_done} of {keys_total} keys")));
    }
    rows
}

/// Lines below the rows: the links, then what a hub knows of its regions.
pub(super) fn lines(link: &LinkStatus) -> String {
    let mut lines = String::new();
    for peer in &link.peers {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "  {}", line_of(peer));
    }
    for region in &link.regions {
        let _ = writeln!(lines, "  {}", head_of(region));
        for node in &region.nodes {
            let RegionNodeStatus {
                name,
                position,
                source,
            } = node;
            let _ = writeln!(
                lines,
                "    {name}  at revision {position}, log from {source}"
            );
        }
    }
    lines
}

fn place(link: &LinkStatus) -> String {
    let hub = link
        .hub
        .as_ref()
        .map_or_else(|| "NO HUB".to_owned(), |hub| format!("hub {hub}"));
    match (link.role.as_str(), link.source.as_str()) {
        ("hub", source) => format!("hub, log from the {source}"),
        (role, "none" | "") => format!("{role}, {hub}, NO LOG"),
        (role, source) => format!("{role}, {hub}, log from the {source}"),
    }
}

fn position(link: &LinkStatus) -> String {
    let LinkStatus {
        epoch,
        position,
        head,
        lag_revisions,
        lag_ms,
        ..
    } = link;
    let time = lag_ms.map_or_else(String::new, |ms| format!(", {ms} ms"));
    format!("revision {position} of {head}, epoch {epoch}: {lag_revisions} revisions{time} behind")
}

fn window(link: &LinkStatus) -> String {
    let held = bytes(link.window_bytes);
    match link.window_first {
        Some(first) => format!("{held}, from revision {first}"),
        None => held,
    }
}

fn way(received: u64, sent: u64) -> String {
    format!("{} in, {} out", bytes(received), bytes(sent))
}

fn line_of(peer: &PeerStatus) -> String {
    let PeerStatus {
        peer,
        wan,
        rtt_ms,
        rtt_min_ms,
        jitter_ms,
        bytes_sent,
        bytes_received,
    } = peer;
    let kind = if *wan { "WAN" } else { "LAN" };
    let shown = |ms: &Option<f64>| ms.map_or_else(|| "unknown".to_owned(), millis);
    format!(
        "{peer}  {kind}  round trip {} (least {}, jitter {})  {}",
        shown(rtt_ms),
        shown(rtt_min_ms),
        shown(jitter_ms),
        way(*bytes_received, *bytes_sent)
    )
}

fn head_of(region: &RegionStatus) -> String {
    let RegionStatus {
        region,
        delegate,
        term,
        nodes,
    } = region;
    let delegate = delegate.as_ref().map_or_else(
        || "NO DELEGATE".to_owned(),
        |delegate| format!("delegate {delegate}"),
    );
    format!(
        "region {region}: {delegate} (term {term}), nodes: {}",
        nodes.len()
    )
}
