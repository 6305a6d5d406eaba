//! What a node tells of itself: `/status.json`, and how its rooms stopped.

use std::net::SocketAddr;

use meridian_delegate::LinkStatus;
use meridian_door_etcd::DoorStatus;
use meridian_engine::EngineStatus;
use meridian_runtime::StopReport;
use serde::Serialize;

/// `/status.json`.
#[derive(Debug, Serialize)]
pub(super) struct NodeStatus {
    pub(super) version: &'static str,
    pub(super) role: &'static str,
    pub(super) uptime_seconds: u64,
    pub(super) ready: bool,
    /// Why it is not ready.
    pub(super) not_ready: Option<String>,
    /// Where the etcd door listens, if there is one.
    pub(super) listen: Option<SocketAddr>,
    /// Client connections open.
    pub(super) connections: u64,
    /// Node, region, epoch, revision, staleness, home, watchers.
    #[serde(flatten)]
    pub(super) engine: EngineStatus,
    /// The etcd door's counters.
    pub(super) door: Option<DoorStatus>,
    /// What goes over links, if there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<LinkStatus>,
}

impl NodeStatus {
    pub(super) fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a status has text keys and plain values only")
    }
}

/// Logs what a stop had to abort at its deadline, which is a stop in order still; whether everything
/// has ended.
pub(crate) fn all_ended(what: &str, report: &StopReport) -> bool {
    let StopReport { aborted, stuck } = report;
    if !aborted.is_empty() {
        tracing::warn!(what, count = aborted.len(), tasks = ?first(aborted), "aborted at the deadline");
    }
    if !stuck.is_empty() {
        tracing::error!(what, count = stuck.len(), tasks = ?first(stuck), "tasks did not stop");
    }
    stuck.is_empty()
}

/// Enough names to see what they are.
fn first(names: &[String]) -> &[String] {
    const SHOWN: usize = 8;
    &names[..names.len().min(SHOWN)]
}
