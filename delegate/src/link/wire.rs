//! The messages of the link, as protobuf.
//!
//! Invariant: fields that a release does not know are skipped and those it misses have a meaning as
//! absent, so that releases can meet; a field number is never used for something else. These are
//! words only: what follows from them is decided by the machines and drivers.

mod call;
mod log;
mod steering;

pub use call::{CallAnswer, CallHead, Entry, Failure, FollowHead, HomeFacts, Outcome, answer};
pub use call::{HomeDescription, HomeEndpoint, YesNo};
pub use log::{
    Held, LogReply, Refused, Resume, SnapshotHead, SnapshotReply, SnapshotRequest, Subscribe,
    Subscribed, Why, log_reply, snapshot_reply,
};
pub use steering::{Assigned, Complaint, Control, Heartbeat, Hello, Name, Place, Welcome, control};

/// The protocol that this release speaks, as [`Hello`] says it. It grows when a peer of the release
/// before could not go on; ALPN says the same of the transport.
pub const PROTOCOL: u32 = 1;

#[cfg(test)]
mod tests;
