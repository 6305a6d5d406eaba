//! Messages that open the log and snapshots.

use bytes::Bytes;
use meridian_keyspace::Revision;

/// What a resuming reader holds of a group.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Held {
    /// The group.
    #[prost(fixed64, tag = "1")]
    pub group: u64,
    /// Batches of it that the reader has.
    #[prost(uint32, tag = "2")]
    pub batches: u32,
}

/// Opens the log; batches follow the answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Subscribe {
    /// The epoch of what the reader has.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// Which home it is of; zero if it has nothing.
    #[prost(fixed64, tag = "2")]
    pub lineage: u64,
    /// The first revision it wants.
    #[prost(int64, tag = "3")]
    pub from: i64,
    /// The group it can go on decoding.
    #[prost(message, optional, tag = "4")]
    pub have: Option<Held>,
    /// The term under which it takes the log here; zero at a hub.
    #[prost(uint64, tag = "5")]
    pub term: u64,
    /// A member that takes the log from the hub because its delegate does not serve it.
    #[prost(bool, tag = "6")]
    pub bypass: bool,
}

/// The log begins.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Subscribed {
    /// Which home it is of.
    #[prost(fixed64, tag = "1")]
    pub lineage: u64,
    /// Its epoch.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// Its last revision now.
    #[prost(int64, tag = "3")]
    pub head: i64,
}

/// Why a subscription or a snapshot is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Why {
    /// A reason that this release does not know.
    Unknown = 0,
    /// The one asked does not hold this term.
    NotHeld = 1,
    /// It is behind what is wanted, or has nothing yet.
    Behind = 2,
    /// What is wanted is gone; take a snapshot.
    Compacted = 3,
    /// Its log is of another epoch.
    OtherEpoch = 4,
    /// Its log is of another home.
    OtherLineage = 5,
}

impl Why {
    /// A word for logs and labels.
    pub const fn as_str_name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NotHeld => "not_held",
            Self::Behind => "behind",
            Self::Compacted => "compacted",
            Self::OtherEpoch => "other_epoch",
            Self::OtherLineage => "other_lineage",
        }
    }
}

/// It cannot be had here.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Refused {
    /// Why; read it by [`Refused::why`].
    #[prost(enumeration = "Why", tag = "1")]
    pub reason: i32,
    /// Up to which revision history is gone, if that is why.
    #[prost(int64, tag = "2")]
    pub compacted: i64,
}

impl Refused {
    /// For this reason.
    pub fn new(why: Why) -> Self {
        Self {
            reason: why.into(),
            compacted: 0,
        }
    }

    /// History is gone up to `revision`.
    pub fn compacted(revision: Revision) -> Self {
        Self {
            reason: Why::Compacted.into(),
            compacted: revision.get(),
        }
    }

    /// Why.
    pub fn why(&self) -> Why {
        self.reason()
    }
}

/// The answer to [`Subscribe`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct LogReply {
    /// What it says; none if this release does not know it.
    #[prost(oneof = "log_reply::Body", tags = "1, 2")]
    pub body: Option<log_reply::Body>,
}

/// The kinds of [`LogReply`].
pub mod log_reply {
    /// What the answer says.
    #[derive(Clone, Copy, PartialEq, Eq, prost::Oneof)]
    pub enum Body {
        /// Batches follow.
        #[prost(message, tag = "1")]
        Subscribed(super::Subscribed),
        /// Nothing follows.
        #[prost(message, tag = "2")]
        Refused(super::Refused),
    }
}

impl LogReply {
    /// Batches follow.
    pub fn subscribed(subscribed: Subscribed) -> Self {
        Self {
            body: Some(log_reply::Body::Subscribed(subscribed)),
        }
    }

    /// Nothing follows.
    pub fn refused(refused: Refused) -> Self {
        Self {
            body: Some(log_reply::Body::Refused(refused)),
        }
    }

    /// What it says; an answer that this release does not know is a refusal.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn into_result(self) -> Result<Subscribed, Refused> {
        match self.body {
            Some(log_reply::Body::Subscribed(subscribed)) => Ok(subscribed),
            Some(log_reply::Body::Refused(refused)) => Err(refused),
            None => Err(Refused::new(Why::Unknown)),
        }
    }
}

/// Asks for a snapshot, or for the rest of one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SnapshotRequest {
    /// Which home the reader has something of; zero if of none.
    #[prost(fixed64, tag = "1")]
    pub lineage: u64,
    /// The term under which it asks here; zero at a hub.
    #[prost(uint64, tag = "2")]
    pub term: u64,
    /// Where it was cut off.
    #[prost(message, optional, tag = "3")]
    pub resume: Option<Resume>,
}

/// How far a snapshot came.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Resume {
    /// Its revision.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// The last key that arrived.
    #[prost(bytes = "bytes", tag = "2")]
    pub after_key: Bytes,
    /// Keys that arrived.
    #[prost(uint64, tag = "3")]
    pub keys_done: u64,
}

/// The snapshot begins; chunks follow.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SnapshotHead {
    /// Which home it is of.
    #[prost(fixed64, tag = "1")]
    pub lineage: u64,
    /// Its epoch.
    #[prost(uint64, tag = "2")]
    pub epoch: u64,
    /// Its revision.
    #[prost(int64, tag = "3")]
    pub revision: i64,
    /// Keys in the whole of it.
    #[prost(uint64, tag = "4")]
    pub keys_total: u64,
}

/// The answer to [`SnapshotRequest`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct SnapshotReply {
    /// What it says; none if this release does not know it.
    #[prost(oneof = "snapshot_reply::Body", tags = "1, 2")]
    pub body: Option<snapshot_reply::Body>,
}

/// The kinds of [`SnapshotReply`].
pub mod snapshot_reply {
    /// What the answer says.
    #[derive(Clone, Copy, PartialEq, Eq, prost::Oneof)]
    pub enum Body {
        /// Chunks follow.
        #[prost(message, tag = "1")]
        Head(super::SnapshotHead),
        /// Nothing follows.
        #[prost(message, tag = "2")]
        Refused(super::Refused),
    }
}

impl SnapshotReply {
    /// Chunks follow.
    pub fn head(head: SnapshotHead) -> Self {
        Self {
            body: Some(snapshot_reply::Body::Head(head)),
        }
    }

    /// Nothing follows.
    pub fn refused(refused: Refused) -> Self {
        Self {
            body: Some(snapshot_reply::Body::Refused(refused)),
        }
    }

    /// What it says; an answer that this release does not know is a refusal.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn into_result(self) -> Result<SnapshotHead, Refused> {
        match self.body {
            Some(snapshot_reply::Body::Head(head)) => Ok(head),
            Some(snapshot_reply::Body::Refused(refused)) => Err(refused),
            None => Err(Refused::new(Why::Unknown)),
        }
    }
}
