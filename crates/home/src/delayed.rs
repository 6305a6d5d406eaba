//! A home at a distance: the same home, each message half a round trip later, each way.
//!
//! Owns [`Delayed`], with which one process shows what a WAN does. Invariant: streams keep their
//! order and their throughput: many messages are on their way at once, up to a bound, beyond which
//! the sender waits. It loses nothing and knows nothing of bandwidth.

mod line;

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::StreamExt;
use meridian_keyspace::{KeyRange, Revision};
use tokio::time::sleep;
use tonic::Code;

use self::line::Line;
use crate::{
    Call, CallError, Commits, Description, Facts, Fate, FollowError, Home, RangeChanges, Replies,
    Reply, Snapshot, StreamCall,
};

/// Messages on their way in one direction of one stream: at 40 ms one way that is 25,000 messages
/// a second, more than one stream carries here.
const MESSAGES_IN_FLIGHT: usize = 1024;

/// Snapshot pages and commit batches on their way. They are up to some MiB each, so this also
/// bounds memory, at a few hundred MiB for the largest pages.
const PAGES_IN_FLIGHT: usize = 64;

/// A home that answers `round_trip` later than the one inside.
pub struct Delayed {
    inner: Arc<dyn Home>,
    one_way: Duration,
}

impl Delayed {
    /// Puts `inner` half of `round_trip` away.
    pub fn new(inner: Arc<dyn Home>, round_trip: Duration) -> Self {
        Self {
            inner,
            one_way: round_trip / 2,
        }
    }

    /// Waits for the request's way out, does the call, and waits for the answer's way back.
    async fn there_and_back<T>(&self, call: impl Future<Output = T>) -> T {
        sleep(self.one_way).await;
        let answer = call.await;
        sleep(self.one_way).await;
        answer
    }
}

#[async_trait]
impl Home for Delayed {
    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn unary(&self, call: Call) -> Result<Reply, CallError> {
        let deadline = call.deadline;
        let answer = self.there_and_back(self.inner.unary(call));
        let Some(deadline) = deadline else {
            return answer.await;
        };
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::new(
                Code::DeadlineExceeded,
                "context deadline exceeded",
                Fate::Unknown,
            )),
        }
    }

    async fn stream(&self, mut call: StreamCall) -> Result<Replies, CallError> {
        call.requests = Line::new(call.requests, self.one_way, MESSAGES_IN_FLIGHT).boxed();
        let replies = self.there_and_back(self.inner.stream(call)).await?;
        let messages = Box::pin(Line::new(
            replies.messages,
            self.one_way,
            MESSAGES_IN_FLIGHT,
        ));
        Ok(Replies {
            metadata: replies.metadata,
            messages,
        })
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        self.there_and_back(self.inner.read_index()).await
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        let Snapshot {
            facts,
            keys_total,
            pages,
        } = self.there_and_back(self.inner.snapshot()).await?;
        let pages = Line::new(pages, self.one_way, PAGES_IN_FLIGHT).boxed();
        Ok(Snapshot {
            facts,
            keys_total,
            pages,
        })
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        let commits = self.there_and_back(self.inner.follow(from)).await?;
        Ok(Line::new(commits, self.one_way, PAGES_IN_FLIGHT).boxed())
    }

    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        let changes = self
            .there_and_back(self.inner.follow_range(range, from))
            .await?;
        Ok(Line::new(changes, self.one_way, PAGES_IN_FLIGHT).boxed())
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        self.there_and_back(self.inner.auth_enabled()).await
    }
}

#[cfg(test)]
mod tests;
