//! Where a replica takes the log from: a home beside it, or (later) a delegate over a link.

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use meridian_keyspace::{Commit, Record, Revision};

/// A source of the revision log.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// The whole keyspace at one revision.
    ///
    /// # Errors
    /// [`FeedError::Unavailable`] or [`FeedError::Denied`], here or later in the pages.
    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError>;

    /// Commits from `from` on, in order, in batches that are never empty; ends with an error.
    ///
    /// # Errors
    /// [`FeedError`], here or later in the stream.
    async fn follow(
        &self,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Commit>, FeedError>>, FeedError>;
}

/// Pages of a snapshot: live records in key order, each key once.
pub type FeedPages = BoxStream<'static, Result<Vec<Record>, FeedError>>;

/// The whole keyspace at one revision.
pub struct FeedSnapshot {
    /// The revision of every page.
    pub revision: Revision,
    /// Keys in it.
    pub keys_total: u64,
    /// Its records.
    pub pages: FeedPages,
}

/// Why the log cannot be read (further).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// The wanted revision is gone from the source; a snapshot is needed.
    #[error("history up to revision {compacted} is compacted")]
    Compacted {
        /// The compacted revision, zero if unknown.
        compacted: Revision,
    },
    /// The source wants credentials that we do not have.
    #[error("the home wants authentication: {0}")]
    Denied(String),
    /// The source cannot be reached or failed; try again.
    #[error("{0}")]
    Unavailable(String),
}
