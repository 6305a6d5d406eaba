//! `link` in a node's status document: what goes over its links.
//!
//! One set of types for who writes the document and who reads it. Whatever is missing reads as its
//! default, so that versions can meet; roles and sources are texts for the same reason. Revisions
//! are those of the log, bytes are since the node's start, durations are milliseconds.

use serde::{Deserialize, Serialize};

/// What goes over a node's links.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LinkStatus {
    /// `hub`, `delegate` or `member`.
    pub(crate) role: String,
    /// Where its log comes from: `home` (at a hub), `hub`, `delegate` or `none`.
    pub(crate) source: String,
    /// The hub it is linked with, as `region/name`.
    pub(crate) hub: Option<String>,
    /// Its region's delegate, as `region/name`.
    pub(crate) delegate: Option<String>,
    /// The assignment's term.
    pub(crate) term: u64,
    /// The home's epoch.
    pub(crate) epoch: u64,
    /// The last revision its window holds.
    pub(crate) position: i64,
    /// The newest revision it has heard of.
    pub(crate) head: i64,
    /// `head` less `position`.
    pub(crate) lag_revisions: i64,
    /// For how long it has been behind; none if it cannot tell.
    pub(crate) lag_ms: Option<u64>,
    /// Received from other regions.
    pub(crate) wan_in_bytes: u64,
    /// Sent to other regions.
    pub(crate) wan_out_bytes: u64,
    /// Received from its own region.
    pub(crate) lan_in_bytes: u64,
    /// Sent to its own region.
    pub(crate) lan_out_bytes: u64,
    /// The log's size before coding.
    pub(crate) raw_bytes: u64,
    /// Its size on the wire.
    pub(crate) coded_bytes: u64,
    /// `raw_bytes` by `coded_bytes`; none before the first batch.
    pub(crate) compression_ratio: Option<f64>,
    /// Nodes that read the log from this one.
    pub(crate) direct_members: u64,
    /// Coded log held.
    pub(crate) window_bytes: u64,
    /// The first revision of it; none if it holds none.
    pub(crate) window_first: Option<i64>,
    /// A snapshot on its way to this node.
    pub(crate) snapshot: Option<SnapshotStatus>,
    /// Who is at the other end of each link.
    pub(crate) peers: Vec<PeerStatus>,
    /// At a hub: every region that is linked.
    pub(crate) regions: Vec<RegionStatus>,
}

/// How far a snapshot has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SnapshotStatus {
    /// Keys received.
    pub(crate) keys_done: u64,
    /// Keys there are.
    pub(crate) keys_total: u64,
}

/// One link.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PeerStatus {
    /// The node at its other end, as `region/name`.
    pub(crate) peer: String,
    /// Whether it leads to another region.
    pub(crate) wan: bool,
    /// The round trip, smoothed; none before the first.
    pub(crate) rtt_ms: Option<f64>,
    /// The shortest one.
    pub(crate) rtt_min_ms: Option<f64>,
    /// How much they differ.
    pub(crate) jitter_ms: Option<f64>,
    /// To it.
    pub(crate) bytes_sent: u64,
    /// From it.
    pub(crate) bytes_received: u64,
}

/// One region, as a hub knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RegionStatus {
    /// Its name.
    pub(crate) region: String,
    /// Its delegate, as `region/name`.
    pub(crate) delegate: Option<String>,
    /// The assignment's term.
    pub(crate) term: u64,
    /// Its nodes that are linked.
    pub(crate) nodes: Vec<RegionNodeStatus>,
}

/// One node of a region, as a hub knows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RegionNodeStatus {
    /// Its name in the region.
    pub(crate) name: String,
    /// The last revision it told of.
    pub(crate) position: i64,
    /// Where its log comes from, as in [`LinkStatus::source`].
    pub(crate) source: String,
}
