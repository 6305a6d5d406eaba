//! What a hub's window is filled from, for readers that need more than it holds: the home itself.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::StreamExt;
use meridian_home::{CallError, FollowError, Home};
use meridian_keyspace::Revision;
use meridian_revlog::{FeedError, FeedSnapshot};

use crate::feed::{Commits, Upstream};

pub(super) struct HubUpstream(pub(super) Arc<dyn Home>);

#[async_trait]
impl Upstream for HubUpstream {
    async fn history(&self, from: Revision) -> Result<Commits, FeedError> {
        let commits = self.0.follow(from).await.map_err(follow_failed)?;
        Ok(commits.map(|batch| batch.map_err(follow_failed)).boxed())
    }

    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError> {
        let snapshot = self.0.snapshot().await.map_err(call_failed)?;
        Ok(FeedSnapshot {
            revision: snapshot.facts.revision,
            keys_total: snapshot.keys_total,
            pages: snapshot.pages.map(|page| page.map_err(call_failed)).boxed(),
        })
    }

    fn begin_at(&self, _from: Revision) -> Result<(), FeedError> {
        // The pump positions the window where the home is.
        Ok(())
    }
}

pub(crate) fn follow_failed(error: FollowError) -> FeedError {
    match error {
        FollowError::Compacted { compacted } => FeedError::Compacted { compacted },
        FollowError::Call(call) => call_failed(call),
    }
}

fn call_failed(error: CallError) -> FeedError {
    if error.means_auth_required() {
        FeedError::Denied(error.message)
    } else {
        FeedError::Unavailable(error.message)
    }
}
