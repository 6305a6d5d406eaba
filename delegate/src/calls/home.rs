//! A node's home, at the other end of its link.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::StreamExt;
use meridian_home::{
    Call, CallError, Commits, Description, EtcdError, Facts, Fate, FollowError, Home, RangeChanges,
    Replies, Reply, Snapshot, StreamCall,
};
use meridian_keyspace::{KeyRange, Revision};
use meridian_revlog::{Feed, FeedError};
use meridian_runtime::TaskGroup;
use parking_lot::Mutex;
use tonic::Code;

use super::{
    Links, REGION_PACE, Shared, caller::Caller, describe::Described, range, streaming, unary,
};
use crate::link::{Kind, wire::answer};

/// How long an ordinary question about the home may take: its own bound at the hub is 10 s.
const QUESTION_DEADLINE: Duration = Duration::from_secs(12);

/// A home that is reached over the link to a hub.
pub struct LinkHome {
    caller: Arc<Caller>,
    feed: Arc<dyn Feed>,
    region: Arc<Shared>,
    described: Arc<Described>,
    tasks: TaskGroup,
}

impl LinkHome {
    /// Calls go over `links`; the log and snapshots come from `feed`. Streaming calls, shared
    /// questions and the keeping of the home's description run under `tasks`.
    pub fn new(links: Arc<dyn Links>, feed: Arc<dyn Feed>, tasks: &TaskGroup) -> Arc<Self> {
        let tasks = tasks.child("calls");
        let caller = Arc::new(Caller {
            links,
            facts: Mutex::new(None),
        });
        let region = Shared::paced(caller.clone(), REGION_PACE, &tasks);
        let described = Arc::new(Described::new());
        let keep = described.clone().keep(caller.clone(), tasks.token());
        tasks.spawn_permanent("description", keep);
        Arc::new(Self {
            caller,
            feed,
            region,
            described,
            tasks,
        })
    }

    /// What this node, as its region's delegate, answers the region's members' read indexes from:
    /// give it to [`serve`](super::serve()) for [`Kind::RegionReadIndex`].
    pub fn region_index(&self) -> Arc<Shared> {
        self.region.clone()
    }
}

#[async_trait]
impl Home for LinkHome {
    fn describe(&self) -> Description {
        self.described.now()
    }

    async fn unary(&self, call: Call) -> Result<Reply, CallError> {
        unary::carry(&self.caller, call).await
    }

    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        streaming::open(&self.caller, call, &self.tasks).await
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        self.caller.read_index().await
    }

    async fn shared_read_index(&self) -> Result<Facts, CallError> {
        if let Some(delegate) = self.caller.links.delegate()
            && let Some(answer) = self.caller.ask_delegate(&delegate).await
        {
            return answer;
        }
        // This node is the delegate, or its delegate does not answer.
        self.region.read_index().await
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        let snapshot = self.feed.snapshot().await.map_err(feed_error)?;
        let known = *self.caller.facts.lock();
        let facts = match known {
            Some(facts) => facts,
            None => self.caller.read_index().await?,
        };
        Ok(Snapshot {
            facts: Facts {
                revision: snapshot.revision,
                ..facts
            },
            keys_total: snapshot.keys_total,
            pages: snapshot.pages.map(|page| page.map_err(feed_error)).boxed(),
        })
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        let commits = self.feed.follow(from).await.map_err(follow_error)?;
        Ok(commits.map(|batch| batch.map_err(follow_error)).boxed())
    }

    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        range::open(&self.caller, &range, from, &self.tasks).await
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        let deadline = Instant::now() + QUESTION_DEADLINE;
        match self.caller.ask(Kind::AuthEnabled, deadline).await? {
            answer::Body::YesNo(answer) => Ok(answer.yes),
            answer::Body::Failure(_)
            | answer::Body::Outcome(_)
            | answer::Body::Facts(_)
            | answer::Body::Description(_) => Err(CallError::connection_lost()),
        }
    }
}

fn feed_error(error: FeedError) -> CallError {
    match error {
        FeedError::Denied(text) => CallError::new(Code::Unauthenticated, text, Fate::Refused),
        FeedError::Compacted { .. } => {
            let told = EtcdError::COMPACTED;
            CallError::new(told.code(), told.message(), Fate::Refused)
        }
        FeedError::Unavailable(text) => CallError::new(Code::Unavailable, text, Fate::NotSent),
    }
}

fn follow_error(error: FeedError) -> FollowError {
    match error {
        FeedError::Compacted { compacted } => FollowError::Compacted { compacted },
        FeedError::Denied(_) | FeedError::Unavailable(_) => feed_error(error).into(),
    }
}
