//! The gateway's engine: one replica of the keyspace, the read levels, and the way home.
//!
//! Owns the replica's life (bootstrap, follow, mend, rebuild), admission of reads by level, shared
//! read-index probes, measured staleness, watch fan-out and the shared keepalive streams.
//! Invariants: an incomplete replica serves nothing; a read is admitted only at a revision its
//! level allows; revisions reach watchers whole, in order, once. It knows no wire format of any
//! door, and nothing of QUIC: it takes a [`Feed`](meridian_revlog::Feed) and a
//! [`Home`](meridian_home::Home).

mod admission;
mod engine;
mod feed;
mod freshness;
mod keepalive;
mod level;
mod metrics;
mod probe;
mod replica;
#[cfg(test)]
mod scripted;
mod status;
#[cfg(test)]
mod tests;
pub mod watch;

pub use engine::{Engine, EngineConfig, Mode};
pub use feed::HomeFeed;
pub use keepalive::{KeepAlives, Renewal};
pub use level::{AdmitError, Admitted, Level, View};
pub use metrics::describe as describe_metrics;
pub use status::EngineStatus;
