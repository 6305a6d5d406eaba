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
use meridian_runtime::{Backoff, TaskGroup};
use parking_lot::Mutex;
use tokio::time::timeout_at;
use tonic::Code;

use super::{
    Links, REGION_PACE, Shared, describe::Described, index::Probe, range, streaming, unary,
};
use crate::link::{
    Kind, Link, Recv, Send, StreamError,
    wire::{CallAnswer, answer},
};

/// How long a call waits for a link where its client would wait longer: a fault of the link is over
/// within 2 s, and a client that waits no longer hears what it would hear of an etcd that is down.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between attempts where a link is offered that turns out to be dead.
const OPEN_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// The answer to a small question about the home: its own bounds there are 3 s for a read index
/// and 10 s for an ordinary call.
const READ_INDEX_DEADLINE: Duration = Duration::from_secs(4);
const QUESTION_DEADLINE: Duration = Duration::from_secs(12);

/// Sendings of a question, which leaves nothing behind.
const SENDINGS_MAX: u32 = 3;

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
            pages: snapshot
                .pages
                .map(|page| page.map_err(feed_error))
                .boxed(),
        })
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        let commits = self.feed.follow(from).await.map_err(follow_error)?;
        Ok(commits
            .map(|batch| batch.map_err(follow_error))
            .boxed())
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

/// Opens streams on the links as they are, and asks small questions.
pub(super) struct Caller {
    links: Arc<dyn Links>,
    /// Who answered last.
    facts: Mutex<Option<Facts>>,
}

impl Caller {
    /// A stream to the hub. An error says that none was opened, so nothing was sent.
    pub(super) async fn open(
        &self,
        kind: Kind,
        deadline: Option<Instant>,
    ) -> Result<(Send, Recv), CallError> {
        let patience = Instant::now() + LINK_PATIENCE;
        let by = deadline.map_or(patience, |deadline| deadline.min(patience));
        let mut backoff = Backoff::new(OPEN_PAUSE.0, OPEN_PAUSE.1);
        let opened = timeout_at(by.into(), async {
            loop {
                let link = self.links.hub(by).await?;
                match link.open(kind).await {
                    Ok(streams) => return Ok(streams),
                    Err(_) => backoff.pause().await,
                }
            }
        });
        let late = deadline.is_some_and(|deadline| deadline <= by);
        match opened.await {
            Ok(Ok(streams)) => Ok(streams),
            Ok(Err(_)) if late && deadline <= Some(Instant::now()) => {
                Err(CallError::deadline_passed(Fate::NotSent))
            }
            Ok(Err(error)) => Err(CallError {
                fate: Fate::NotSent,
                ..error
            }),
            Err(_) if late => Err(CallError::deadline_passed(Fate::NotSent)),
            Err(_) => Err(CallError::no_connection()),
        }
    }

    pub(super) async fn read_index(&self) -> Result<Facts, CallError> {
        let deadline = Instant::now() + READ_INDEX_DEADLINE;
        self.facts_of(self.ask(Kind::ReadIndex, deadline).await?)
    }

    /// Asks the hub what needs no words; the answer is never a failure.
    pub(super) async fn ask(
        &self,
        kind: Kind,
        deadline: Instant,
    ) -> Result<answer::Body, CallError> {
        for _ in 0..SENDINGS_MAX {
            let (send, recv) = self.open(kind, Some(deadline)).await?;
            match timeout_at(deadline.into(), question(send, recv)).await {
                Ok(Ok(answer)) => return answer,
                Ok(Err(_)) => {}
                Err(_) => return Err(no_answer()),
            }
        }
        Err(CallError::connection_lost())
    }

    /// The region's read index; nothing if the delegate cannot be asked.
    async fn ask_delegate(&self, delegate: &Link) -> Option<Result<Facts, CallError>> {
        let deadline = Instant::now() + READ_INDEX_DEADLINE + REGION_PACE;
        let asked = async {
            let (send, recv) = delegate.open(Kind::RegionReadIndex).await?;
            question(send, recv).await
        };
        match timeout_at(deadline.into(), asked).await {
            Ok(Ok(answer)) => Some(answer.and_then(|body| self.facts_of(body))),
            Ok(Err(_)) => None,
            Err(_) => Some(Err(no_answer())),
        }
    }

    fn facts_of(&self, answer: answer::Body) -> Result<Facts, CallError> {
        match answer {
            answer::Body::Facts(facts) => {
                let facts = super::convert::facts(facts);
                *self.facts.lock() = Some(facts);
                Ok(facts)
            }
            answer::Body::Failure(_)
            | answer::Body::Outcome(_)
            | answer::Body::YesNo(_)
            | answer::Body::Description(_) => Err(CallError::connection_lost()),
        }
    }
}

#[async_trait]
impl Probe for Caller {
    async fn probe(&self) -> Result<Facts, CallError> {
        self.read_index().await
    }
}

/// Asks a question on a stream of its own; an error is the link's.
async fn question(
    mut send: Send,
    mut recv: Recv,
) -> Result<Result<answer::Body, CallError>, StreamError> {
    send.open_and_finish().await?;
    let CallAnswer { body } = recv.message().await?;
    match body.ok_or(StreamError::Ended)? {
        answer::Body::Failure(failure) => Ok(Err(super::convert::call_error(failure))),
        body => Ok(Ok(body)),
    }
}

fn no_answer() -> CallError {
    let told = EtcdError::TIMEOUT;
    CallError::new(told.code(), told.message(), Fate::Unknown)
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
