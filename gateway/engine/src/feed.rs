//! The log taken straight from a home: what a gateway beside it does, and a hub will do.

use std::sync::Arc;

use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use meridian_home::{CallError, FollowError, Home};
use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{Feed, FeedError, FeedSnapshot};

/// A [`Feed`] over a [`Home`].
pub struct HomeFeed(pub Arc<dyn Home>);

#[async_trait]
impl Feed for HomeFeed {
    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError> {
        let snapshot = self.0.snapshot().await.map_err(call_failed)?;
        Ok(FeedSnapshot {
            revision: snapshot.facts.revision,
            keys_total: snapshot.keys_total,
            pages: snapshot.pages.map(|page| page.map_err(call_failed)).boxed(),
        })
    }

    async fn follow(
        &self,
        from: Revision,
    ) -> Result<BoxStream<'static, Result<Vec<Commit>, FeedError>>, FeedError> {
        let commits = self.0.follow(from).await.map_err(follow_failed)?;
        Ok(commits.map(|batch| batch.map_err(follow_failed)).boxed())
    }
}

fn follow_failed(error: FollowError) -> FeedError {
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
