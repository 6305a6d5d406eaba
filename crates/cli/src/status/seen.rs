//! What we read of a node's status document.
//!
//! Tolerantly: a node of another version, or one with fewer roles, tells less or more. Only who it
//! is must be there.

use serde::Deserialize;

use super::link::LinkStatus;

/// `/status.json`, as far as we show it.
#[derive(Deserialize)]
pub(super) struct Seen {
    pub(super) node: String,
    pub(super) region: String,
    pub(super) role: String,
    pub(super) version: String,
    #[serde(default)]
    pub(super) uptime_seconds: u64,
    #[serde(default)]
    pub(super) not_ready: Option<String>,
    #[serde(flatten)]
    pub(super) gateway: Option<SeenGateway>,
    #[serde(default)]
    pub(super) home: Option<SeenHome>,
    #[serde(default)]
    pub(super) home_has_leader: bool,
    #[serde(default)]
    pub(super) home_error: Option<String>,
    #[serde(default)]
    pub(super) link: Option<LinkStatus>,
}

/// What a node with a door tells besides.
#[derive(Deserialize)]
pub(super) struct SeenGateway {
    pub(super) mode: String,
    pub(super) epoch: u64,
    pub(super) revision: i64,
    pub(super) staleness_ms: Option<u64>,
    #[serde(default)]
    pub(super) keys: u64,
    #[serde(default)]
    pub(super) replica_bytes: u64,
    #[serde(default)]
    pub(super) history_from: i64,
    #[serde(default)]
    pub(super) watchers: u64,
    #[serde(default)]
    pub(super) watch_streams: u64,
    pub(super) connections: u64,
    #[serde(default)]
    pub(super) listen: String,
}

#[derive(Deserialize)]
pub(super) struct SeenHome {
    pub(super) kind: String,
    #[serde(default)]
    pub(super) replicated: bool,
    pub(super) version: Option<String>,
    #[serde(default)]
    pub(super) endpoints: Vec<SeenEndpoint>,
}

#[derive(Deserialize)]
pub(super) struct SeenEndpoint {
    pub(super) url: String,
    pub(super) version: Option<String>,
    pub(super) healthy: bool,
    pub(super) last_error: Option<String>,
    pub(super) warning: Option<String>,
}
