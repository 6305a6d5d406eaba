//! The log as a replica drinks it: decoded from the process's own window, and where the window does
//! not reach back far enough, from wherever the window itself is filled from.
//!
//! Invariant: commits come out contiguous from the revision asked for, whatever groups and overlaps
//! the window holds. It does not know whether its process is a hub, a delegate or a member.

mod reader;

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{Feed, FeedError, FeedSnapshot};

use self::reader::Reader;
use crate::relay::Relay;

/// Commits in order, in batches that are never empty.
pub(crate) type Commits = BoxStream<'static, Result<Vec<Commit>, FeedError>>;

/// Where a window is filled from.
#[async_trait]
pub(crate) trait Upstream: Send + Sync + 'static {
    /// Commits from `from` on, from further back than the window reaches.
    ///
    /// # Errors
    /// [`FeedError::Compacted`] if nobody has them any more.
    async fn history(&self, from: Revision) -> Result<Commits, FeedError>;

    /// The keyspace at one revision. The window is made to reach back to it before this returns.
    ///
    /// # Errors
    /// As [`Feed::snapshot`].
    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError>;

    /// Somebody wants the log from `from` on, and the window stands nowhere yet.
    ///
    /// # Errors
    /// [`FeedError::Compacted`] if that is known to be gone.
    fn begin_at(&self, from: Revision) -> Result<(), FeedError>;
}

/// The [`Feed`] of a process with a relay.
pub struct RelayFeed {
    relay: Arc<Relay>,
    upstream: Arc<dyn Upstream>,
}

impl RelayFeed {
    pub(crate) fn new(relay: Arc<Relay>, upstream: Arc<dyn Upstream>) -> Self {
        Self { relay, upstream }
    }
}

#[async_trait]
impl Feed for RelayFeed {
    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError> {
        self.upstream.snapshot().await
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FeedError> {
        let reader = Reader::new(Arc::clone(&self.relay), Arc::clone(&self.upstream), from);
        let commits = stream::unfold(Some(reader), |reader| async {
            let mut reader = reader?;
            match reader.next().await {
                Ok(commits) => Some((Ok(commits), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(commits.boxed())
    }
}

#[cfg(test)]
mod tests;
