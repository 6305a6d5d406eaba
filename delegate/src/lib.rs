//! The log and the calls between regions: hub, delegate and members, over QUIC.
//!
//! Owns the link (endpoints, identity, streams), the relay that each process keeps of the log, the
//! hub that fills one from the home, the nodes that fill theirs from a hub or from their region's
//! delegate, and the calls that nodes carry to the home. Invariant: a batch is coded once, at the
//! hub, and travels as the same bytes to everybody. It knows no door, no replica's inside, and no
//! configuration: who reads the log takes a [`Feed`](meridian_revlog::Feed), who calls home a
//! [`Home`](meridian_home::Home).

pub mod calls;
mod control;
mod feed;
mod hub;
mod ledger;
pub mod link;
pub mod machine;
mod metrics;
mod name;
mod node;
mod pump;
mod relay;
mod replica;
mod serve;
mod status;
#[cfg(test)]
mod testing;

use tokio_util::sync::CancellationToken;

pub use calls::{LinkHome, Links};
pub use feed::RelayFeed;
pub use hub::{Hub, HubConfig, NodeSeen, RegionSeen};
pub use ledger::PeerStatus;
pub use link::{Closed, Congestion, Endpoint, Kind, Link, LinkConfig, LinkError, OpenError};
pub use metrics::describe as describe_metrics;
pub use name::NodeName;
pub use node::{Node, NodeConfig, SnapshotProgress};
pub use relay::{Lineage, Relay};
pub use replica::ReplicaSource;
pub use status::{LinkStatus, NodeDocument, Role};

/// Runs a task until it ends or `token` is cancelled. A stop is seen first: what a task would say of
/// links that the same stop has closed is not said.
async fn until(token: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = token.cancelled() => {}
        () = task => {}
    }
}
