//! The link: QUIC between a node and a hub, or a member and its delegate.
//!
//! Owns endpoints, who is at the other end, streams and what frames and control messages look like.
//! Invariants: both ends of a [`Link`] have shown a certificate of the configured authority that
//! names them, and TLS is 1.3; bulk never holds up control; every queue and frame has a bound. It
//! does not know what the log holds, who is delegate, nor what a call means.

mod connection;
mod endpoint;
mod frame;
mod identity;
mod kind;
mod metrics;
mod stream;
mod tls;
mod transport;
mod verify;
pub mod wire;

use std::path::PathBuf;

pub use connection::{Closed, Link, Rtt, Traffic};
pub use endpoint::{Endpoint, LinkError, OpenError};
pub use frame::{FrameError, Frames, Parts};
pub use kind::Kind;
pub use metrics::describe as describe_metrics;
pub use stream::{Recv, Send, StreamError};
pub use transport::WINDOW_BYTES;

/// How a node's links are secured and sized.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// PEM: the authorities whose certificates are accepted.
    pub ca: PathBuf,
    /// PEM: this node's certificate, then its issuers.
    pub cert: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// What one stream may have on its way; [`WINDOW_BYTES`] unless there is a reason.
    pub window_bytes: u64,
    /// How the sending rate is found.
    pub congestion: Congestion,
}

/// A congestion controller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Congestion {
    /// What TCP uses: yields to loss.
    #[default]
    Cubic,
    /// Goes by measured bandwidth and round trip: keeps up where loss is not congestion.
    Bbr,
    /// The plain one of the QUIC standard.
    NewReno,
}

#[cfg(test)]
mod tests;
