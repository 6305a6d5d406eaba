//! Nodes of a link as processes: hubs beside a home, and the nodes of regions behind them.
//!
//! Each is `meridian run` with a configuration file and a certificate of the test's own; its ways over the
//! WAN and to its neighbours lead through emulators, so that every pair can be parted.

mod hub;
mod machine;
mod node;
mod status;
mod udp;

pub use hub::{Hub, HubPlan};
pub use machine::Machine;
pub use node::{Node, NodePlan};
pub use status::LinkStatus;
