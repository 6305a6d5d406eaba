//! How a process's links stand, as `status` shows it and as peers ask it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use serde::Serialize;

use crate::{
    NodeName,
    hub::RegionSeen,
    ledger::{Ledger, PeerStatus},
    link::{Recv, Send, StreamError, wire::Name},
    metrics,
    node::SnapshotProgress,
    relay::Held,
    serve::Served,
};

/// What a process is to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It reads the log from the home and serves all regions.
    Hub,
    /// It takes the log from a hub for its region.
    Delegate,
    /// It takes the log from its region's delegate, or from the hub while there is none.
    Member,
}

/// The link's part of a node's status.
#[derive(Clone, Debug, Serialize)]
pub struct LinkStatus {
    /// What it is to the log.
    pub role: Role,
    /// Where it takes the log from: `hub`, `delegate`, `none`; of a hub itself, `home`.
    pub source: String,
    /// The hub it is linked to.
    pub hub: Option<String>,
    /// Its region's delegate.
    pub delegate: Option<String>,
    /// The term of that.
    pub term: u64,
    /// The epoch of its log.
    pub epoch: u64,
    /// The last revision of its log.
    pub position: i64,
    /// The hub's last revision, as last heard.
    pub head: i64,
    /// Revisions between the two.
    pub lag_revisions: i64,
    /// How old its replica may be; none where that is not known.
    pub lag_ms: Option<u64>,
    /// UDP bytes from other regions.
    pub wan_in_bytes: u64,
    /// UDP bytes to other regions.
    pub wan_out_bytes: u64,
    /// UDP bytes from this region.
    pub lan_in_bytes: u64,
    /// UDP bytes to this region.
    pub lan_out_bytes: u64,
    /// Bytes of the log that passed, decoded.
    pub raw_bytes: u64,
    /// The same as they travel.
    pub coded_bytes: u64,
    /// The one over the other; none before anything passed.
    pub compression_ratio: Option<f64>,
    /// Readers of the log that this process serves.
    pub subscribers: u64,
    /// Of these, members that pass over their delegate, each a copy more across the WAN.
    pub direct_members: u64,
    /// Bytes in the window.
    pub window_bytes: u64,
    /// The first revision in it.
    pub window_first: Option<i64>,
    /// A snapshot on its way here.
    pub snapshot: Option<SnapshotProgress>,
    /// The links.
    pub peers: Vec<PeerStatus>,
    /// What a hub sees of every region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<RegionSeen>>,
}

impl LinkStatus {
    pub(crate) fn of(role: Role, held: &Held, ledger: &Ledger, served: &Served) -> Self {
        let totals = ledger.totals();
        let position = held.at.map_or(0, |at| at.revision.get());
        Self {
            role,
            source: "home".to_owned(),
            hub: None,
            delegate: None,
            term: 0,
            epoch: held.at.map_or(0, |at| at.epoch.get()),
            position,
            head: position,
            lag_revisions: 0,
            lag_ms: None,
            wan_in_bytes: totals.wan_in,
            wan_out_bytes: totals.wan_out,
            lan_in_bytes: totals.lan_in,
            lan_out_bytes: totals.lan_out,
            raw_bytes: held.raw_bytes,
            coded_bytes: held.coded_bytes,
            compression_ratio: (held.coded_bytes > 0)
                .then(|| held.raw_bytes as f64 / held.coded_bytes as f64),
            subscribers: served.subscribers(),
            direct_members: served.bypassing(),
            window_bytes: held.bytes as u64,
            window_first: held.first.map(meridian_keyspace::Revision::get),
            snapshot: None,
            peers: ledger.peers(),
            regions: None,
        }
    }
}

/// Where a process's whole status comes from, once whoever knows it has been started.
#[derive(Default)]
pub(crate) struct StatusSource(OnceLock<Arc<dyn Fn() -> String + core::marker::Send + Sync>>);

impl StatusSource {
    /// Names it; the first one counts.
    pub(crate) fn fill(&self, source: Arc<dyn Fn() -> String + core::marker::Send + Sync>) {
        let _ = self.0.set(source);
    }

    pub(crate) fn now(&self) -> Option<String> {
        self.0.get().map(|source| source())
    }

    /// Tells a peer; an empty document if there is none yet.
    pub(crate) async fn answer(&self, mut send: Send) {
        let document = Bytes::from(self.now().unwrap_or_default());
        if send.frame(document).await.is_ok() {
            send.finish();
        }
    }
}

/// A node's own status document, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDocument {
    /// The node.
    pub node: NodeName,
    /// Its JSON document, or why it is missing.
    pub answer: Result<String, String>,
}

/// The same as it travels.
#[derive(Clone, PartialEq, prost::Message)]
struct WireDocument {
    #[prost(message, optional, tag = "1")]
    node: Option<Name>,
    #[prost(string, tag = "2")]
    document: String,
    /// Why there is none; empty if there is.
    #[prost(string, tag = "3")]
    missing: String,
}

/// Tells a peer many documents, each a frame: a hub's own document lists every link.
pub(crate) async fn answer_list(mut send: Send, documents: Vec<NodeDocument>) {
    for NodeDocument { node, answer } in documents {
        let (document, missing) = match answer {
            Ok(document) => (document, String::new()),
            Err(missing) => (String::new(), missing),
        };
        let message = WireDocument {
            node: Some((&node).into()),
            document,
            missing,
        };
        if send.frame(message.encode_to_vec().into()).await.is_err() {
            return;
        }
    }
    send.finish();
}

/// Reads what [`answer_list`] tells.
pub(crate) async fn read_list(recv: &mut Recv) -> Result<Vec<NodeDocument>, StreamError> {
    let mut documents = Vec::new();
    while let Some(frame) = recv.frame().await? {
        let WireDocument {
            node,
            document,
            missing,
        } = WireDocument::decode(frame)?;
        documents.push(NodeDocument {
            node: node.unwrap_or_default().into(),
            answer: match missing.is_empty() {
                true => Ok(document),
                false => Err(missing),
            },
        });
    }
    Ok(documents)
}

/// Measures the links, and tells the recorder, until it is dropped.
pub(crate) async fn sample(ledger: Arc<Ledger>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        ledger.sample();
        metrics::links(&ledger.totals(), &ledger.peers());
    }
}

#[cfg(test)]
mod tests;
