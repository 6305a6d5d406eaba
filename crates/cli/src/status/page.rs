//! A node's status as a page for people.
//!
//! What a node does not tell, because of its roles or of its version, is left out.

mod link;

use std::fmt::Write;

use anyhow::Result;

use super::seen::{Seen, SeenEndpoint, SeenGateway, SeenHome};

/// The page for a status document.
pub(super) fn of(document: &str) -> Result<String> {
    Ok(render(&serde_json::from_str(document)?))
}

fn render(seen: &Seen) -> String {
    let mut page = String::new();
    for (name, value) in rows(seen) {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{name:<12} {value}");
    }
    if let Some(link) = &seen.link {
        page += &link::lines(link);
    }
    if let Some(home) = &seen.home {
        let _ = writeln!(page, "{:<12} {}", "home", of_home(seen, home));
        for endpoint in &home.endpoints {
            let _ = writeln!(page, "  {}", line_of(endpoint));
        }
    }
    page.truncate(page.trim_end().len());
    page
}

fn rows(seen: &Seen) -> Vec<(&'static str, String)> {
    let uptime = humantime::format_duration(std::time::Duration::from_secs(seen.uptime_seconds));
    let ready = seen
        .not_ready
        .as_ref()
        .map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
    let role = match &seen.gateway {
        Some(gateway) => format!("{}, {}", seen.role, gateway.mode),
        None => seen.role.clone(),
    };
    let mut rows = vec![
        (
            "node",
            format!("{} (meridian {}, up {uptime})", seen.node, seen.version),
        ),
        ("region", seen.region.clone()),
        ("role", role),
        ("ready", ready),
    ];
    rows.extend(seen.gateway.iter().flat_map(of_gateway));
    rows.extend(seen.link.iter().flat_map(link::rows));
    rows
}

fn of_gateway(gateway: &SeenGateway) -> Vec<(&'static str, String)> {
    let staleness = gateway
        .staleness_ms
        .map_or_else(|| "unknown".to_owned(), |ms| format!("{ms} ms"));
    let watchers = format!("{} on {} streams", gateway.watchers, gateway.watch_streams);
    vec![
        ("epoch", gateway.epoch.to_string()),
        ("revision", gateway.revision.to_string()),
        ("staleness", staleness),
        ("replica", replica(gateway)),
        ("listens", gateway.listen.clone()),
        ("connections", gateway.connections.to_string()),
        ("watchers", watchers),
    ]
}

fn replica(gateway: &SeenGateway) -> String {
    let mebibytes = gateway.replica_bytes as f64 / f64::from(1 << 20);
    format!(
        "{} keys, {mebibytes:.1} MiB, history from revision {}",
        gateway.keys, gateway.history_from
    )
}

fn of_home(seen: &Seen, home: &SeenHome) -> String {
    let SeenHome {
        kind,
        replicated,
        version,
        endpoints: _,
    } = home;
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
