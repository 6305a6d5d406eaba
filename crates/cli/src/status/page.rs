//! A node's status as a page for people.
//!
//! It reads the JSON tolerantly: what a node of another version does not tell is left out.

use std::fmt::Write;

use anyhow::Result;
use serde::Deserialize;

/// What we show of a node's status.
#[derive(Deserialize)]
struct Seen {
    node: String,
    region: String,
    role: String,
    version: String,
    #[serde(default)]
    uptime_seconds: u64,
    mode: String,
    #[serde(default)]
    not_ready: Option<String>,
    epoch: u64,
    revision: i64,
    staleness_ms: Option<u64>,
    #[serde(default)]
    home_has_leader: bool,
    #[serde(default)]
    home_error: Option<String>,
    home: SeenHome,
    #[serde(default)]
    keys: u64,
    #[serde(default)]
    replica_bytes: u64,
    #[serde(default)]
    history_from: i64,
    #[serde(default)]
    watchers: u64,
    #[serde(default)]
    watch_streams: u64,
    connections: u64,
    #[serde(default)]
    listen: String,
}

#[derive(Deserialize)]
struct SeenHome {
    kind: String,
    #[serde(default)]
    replicated: bool,
    version: Option<String>,
    #[serde(default)]
    endpoints: Vec<SeenEndpoint>,
}

#[derive(Deserialize)]
struct SeenEndpoint {
    url: String,
    version: Option<String>,
    healthy: bool,
    last_error: Option<String>,
    warning: Option<String>,
}

/// The page for a status document.
pub(super) fn of(document: &str) -> Result<String> {
    Ok(render(&serde_json::from_str(document)?))
}

fn render(seen: &Seen) -> String {
    let uptime = humantime::format_duration(std::time::Duration::from_secs(seen.uptime_seconds));
    let staleness = seen
        .staleness_ms
        .map_or_else(|| "unknown".to_owned(), |ms| format!("{ms} ms"));
    let ready = seen
        .not_ready
        .as_ref()
        .map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
    let rows = [
        (
            "node",
            format!("{} (meridian {}, up {uptime})", seen.node, seen.version),
        ),
        ("region", seen.region.clone()),
        ("role", format!("{}, {}", seen.role, seen.mode)),
        ("ready", ready),
        ("epoch", seen.epoch.to_string()),
        ("revision", seen.revision.to_string()),
        ("staleness", staleness),
        ("replica", replica(seen)),
        ("listens", seen.listen.clone()),
        ("connections", seen.connections.to_string()),
        (
            "watchers",
            format!("{} on {} streams", seen.watchers, seen.watch_streams),
        ),
        ("home", home(seen)),
    ];
    let mut page = String::new();
    for (name, value) in rows {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{name:<12} {value}");
    }
    for endpoint in &seen.home.endpoints {
        let _ = writeln!(page, "  {}", line_of(endpoint));
    }
    page.truncate(page.trim_end().len());
    page
}

fn replica(seen: &Seen) -> String {
    let mebibytes = seen.replica_bytes as f64 / f64::from(1 << 20);
    format!(
        "{} keys, {mebibytes:.1} MiB, history from revision {}",
        seen.keys, seen.history_from
    )
}

fn home(seen: &Seen) -> String {
    let SeenHome {
        kind,
        replicated,
        version,
        endpoints: _,
    } = &seen.home;
    let version = version.as_deref().unwrap_or("of unknown version");
    let replicated = if *replicated { "" } else { ", not replicated" };
    let leader = if seen.home_has_leader {
        ", has a leader"
    } else {
        ", NO LEADER"
    };
    let error = seen
        .home_error
        .as_ref()
        .map(|error| format!(": {error}"))
        .unwrap_or_default();
    format!("{kind} {version}{replicated}{leader}{error}")
}

fn line_of(endpoint: &SeenEndpoint) -> String {
    let SeenEndpoint {
        url,
        version,
        healthy,
        last_error,
        warning,
    } = endpoint;
    let version = version.as_deref().unwrap_or("version unknown");
    let health = match (healthy, last_error) {
        (true, _) => "healthy".to_owned(),
        (false, Some(error)) => format!("NOT HEALTHY: {error}"),
        (false, None) => "NOT HEALTHY".to_owned(),
    };
    let warning = warning
        .as_ref()
        .map(|warning| format!("; WARNING: {warning}"))
        .unwrap_or_default();
    format!("{url}  {version}  {health}{warning}")
}

#[cfg(test)]
mod tests;
