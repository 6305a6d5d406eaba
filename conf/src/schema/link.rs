//! The schema of `[hub]` and `[link]`: how regions and the home's hub find and trust each other.
//!
//! What every end of a link has is [`Link`]; what only a node behind a hub has is [`Uplink`]. In
//! the file both are the table `[link]`.

use std::{net::SocketAddr, path::PathBuf};

use serde::Serialize;

use super::FilePair;
use crate::host_port::HostPort;

/// The hub role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hub {
    /// UDP: where it serves the nodes of all regions; default 127.0.0.1:7379; port 0 takes a free
    /// one.
    pub listen: SocketAddr,
}

/// One end of a link: whom it trusts, what it shows, how it sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// PEM file of the authorities of all nodes; no default.
    pub ca: PathBuf,
    /// This node's certificate, which names its region and itself, and its key; no default.
    #[serde(flatten)]
    pub identity: FilePair,
    /// How it finds out how fast it may send; default cubic.
    pub congestion: Congestion,
    /// The log that it keeps for those that read from it.
    pub window: LinkWindow,
}

/// How a sender finds out how fast it may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Congestion {
    /// Backs off at loss, grows again by time: fair beside TCP.
    Cubic,
    /// Measures rate and round trip: keeps its rate on paths that lose packets without congestion.
    Bbr,
    /// Backs off at loss, grows again by round trips: the oldest, slow on long paths.
    NewReno,
}

/// The log that a node keeps for those that read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LinkWindow {
    /// Bytes of coded log, in memory; default 67108864 (64 MiB). A reader that comes back within it
    /// goes on from where it was; a later one gets a snapshot.
    pub bytes: u64,
}

/// How a node behind a hub reaches it, and how the members of its region reach this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Uplink {
    /// The hubs, one at least; the first that can be reached is used. No default.
    pub hubs: Vec<HostPort>,
    /// UDP: where it serves the members of its region while it is their delegate; default
    /// 127.0.0.1:7380; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where members are told to connect; default: where it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advertise: Option<HostPort>,
}

impl Uplink {
    /// Where members are told to connect, for a node that listens on `bound`.
    pub fn relay_address(&self, bound: SocketAddr) -> String {
        match &self.advertise {
            Some(advertise) => advertise.to_string(),
            None => bound.to_string(),
        }
    }
}
