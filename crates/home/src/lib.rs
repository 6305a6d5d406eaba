//! The home: where calls go.
//!
//! Owns the [`Home`] trait and its two kinds: [`remote`], a stock etcd cluster, and [`embedded`],
//! one durable node for development. A call is carried in etcd's own bytes, so that the home
//! validates and answers it, whatever its version (decision 0002). Invariant: a call that may have
//! reached the home is never sent twice. It knows no replica, no read level and no client.

pub mod call;
pub mod embedded;
pub mod keepalive;
pub mod remote;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use meridian_keyspace::{Change, Commit, KeyRange, Record, Revision};
use serde::Serialize;

pub use call::{Call, CallError, Fate, Replies, Reply, StreamCall};
pub use meridian_etcd_api::{EtcdError, Method};

/// The cluster that accepts writes.
#[async_trait]
pub trait Home: Send + Sync + 'static {
    /// What it is and how it is, as last seen; waits for nothing.
    fn describe(&self) -> Description;

    /// One unary call, its bytes and metadata untouched.
    ///
    /// # Errors
    /// The home's own refusal, or a fault on the way, whose [`Fate`] says whether the call may
    /// have taken effect. Not cancel-safe: a dropped call has an unknown outcome.
    async fn unary(&self, call: Call) -> Result<Reply, CallError>;

    /// One streaming call; replies arrive until the home ends the stream.
    ///
    /// # Errors
    /// As for [`Home::unary`], when the stream cannot be opened; later faults arrive in the stream.
    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError>;

    /// The home's linearizable revision: every write acknowledged before this call began is at or
    /// below it (Raft's read index). Carries no client's credentials.
    ///
    /// # Errors
    /// No leader, no connection, no answer in time; [`CallError::means_auth_required`] when the
    /// home wants credentials.
    async fn read_index(&self) -> Result<Facts, CallError>;

    /// As [`Home::read_index`], with the same promise, but nobody waits for the answer: it may be
    /// held back a little to share one question with others (the region's members share one).
    ///
    /// # Errors
    /// As for [`Home::read_index`].
    async fn shared_read_index(&self) -> Result<Facts, CallError> {
        self.read_index().await
    }

    /// The whole keyspace at one revision, in pages.
    ///
    /// # Errors
    /// As for [`Home::read_index`]; later faults arrive in the pages.
    async fn snapshot(&self) -> Result<Snapshot, CallError>;

    /// Every commit from `from` on, in order, in batches; revisions are contiguous. The stream
    /// ends only with an error.
    ///
    /// # Errors
    /// [`FollowError`], here or later in the stream.
    async fn follow(&self, from: Revision) -> Result<Commits, FollowError>;

    /// The changes of one range from `from` on, each with the record it replaced where the home
    /// still knows it, whole revisions in order, and how far they are complete. This is what an
    /// old watch is served from until it can be handed to a replica's history. A home whose
    /// progress answers cannot be trusted (etcd issue 15220: before 3.4.25 and 3.5.8) is watched
    /// over the whole keyspace and filtered here, so that progress follows from contiguity.
    ///
    /// # Errors
    /// [`FollowError`], here or later in the stream.
    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError>;

    /// Whether the home has authentication enabled, asked now.
    ///
    /// # Errors
    /// As for [`Home::read_index`].
    async fn auth_enabled(&self) -> Result<bool, CallError>;
}

/// Who answered and where it stands: what etcd puts in a response header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Id of the home cluster; never zero.
    pub cluster_id: u64,
    /// Id of the member that answered.
    pub member_id: u64,
    /// The raft term it is in.
    pub raft_term: u64,
    /// Its revision.
    pub revision: Revision,
}

/// The whole keyspace at one revision.
pub struct Snapshot {
    /// Who serves it; `facts.revision` is the revision of every page.
    pub facts: Facts,
    /// Keys in it.
    pub keys_total: u64,
    /// The live records, in key order, each key once.
    pub pages: BoxStream<'static, Result<Vec<Record>, CallError>>,
}

/// Commits in order, in batches that are never empty.
pub type Commits = BoxStream<'static, Result<Vec<Commit>, FollowError>>;

/// What [`Home::follow_range`] delivers.
pub type RangeChanges = BoxStream<'static, Result<RangeProgress, FollowError>>;

/// One step of [`Home::follow_range`].
#[derive(Clone, Debug)]
pub struct RangeProgress {
    /// Changes with their events in the range alone; may be empty.
    pub changes: Vec<Change>,
    /// Every event of the range up to this revision has been delivered, these included.
    pub complete_to: Revision,
}

/// Why commits cannot be followed (further).
#[derive(Clone, Debug, thiserror::Error)]
pub enum FollowError {
    /// The wanted revision was compacted away; a snapshot is needed.
    #[error("the home has compacted its history up to revision {compacted}")]
    Compacted {
        /// The home's compacted revision, zero if it did not say.
        compacted: Revision,
    },
    /// The home or the way to it failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What a home is and how it is.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// `"etcd"` or `"embedded"`.
    pub kind: &'static str,
    /// Whether a write survives the loss of one machine.
    pub replicated: bool,
    /// The lowest etcd version among the endpoints that told one, as they spell it; what the
    /// embedded home keeps to.
    pub version: Option<String>,
    /// Each endpoint as last seen.
    pub endpoints: Vec<EndpointStatus>,
}

/// One endpoint of a home as last seen.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// Its address as configured.
    pub url: String,
    /// The etcd version it told.
    pub version: Option<String>,
    /// Whether the last call or connection to it worked.
    pub healthy: bool,
    /// What was wrong last, while it is not healthy.
    pub last_error: Option<String>,
    /// The warning for a version with a known fault, naming the version that mends it.
    pub warning: Option<String>,
}
