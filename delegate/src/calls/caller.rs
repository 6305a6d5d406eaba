//! Streams on the links as they are, and small questions over them.
//!
//! Invariant: an error of [`Caller::open`] says that no stream was opened, so that nothing was sent.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use meridian_home::{CallError, EtcdError, Facts, Fate};
use meridian_runtime::Backoff;
use parking_lot::Mutex;
use tokio::time::timeout_at;

use super::{Links, REGION_PACE, convert, index::Probe};
use crate::link::{
    Kind, Link, Recv, Send, StreamError,
    wire::{CallAnswer, answer},
};

/// How long a call waits for a link where its client would wait longer: a fault of the link is over
/// within 2 s, and a client that waits no longer hears what it would hear of an etcd that is down.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between attempts where a link is offered that turns out to be dead.
const OPEN_PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// How long a read index may take: its own bound at the hub is 3 s.
const READ_INDEX_DEADLINE: Duration = Duration::from_secs(4);

/// Sendings of a question, which leaves nothing behind.
const SENDINGS_MAX: u32 = 3;

/// Opens streams on the links as they are, and asks small questions.
pub(super) struct Caller {
    pub(super) links: Arc<dyn Links>,
    /// Who answered last.
    pub(super) facts: Mutex<Option<Facts>>,
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
    pub(super) async fn ask_delegate(&self, delegate: &Link) -> Option<Result<Facts, CallError>> {
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
                let facts = convert::facts(facts);
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
    recv.settle();
    match body.ok_or(StreamError::Ended)? {
        answer::Body::Failure(failure) => Ok(Err(convert::call_error(failure))),
        body => Ok(Ok(body)),
    }
}

fn no_answer() -> CallError {
    let told = EtcdError::TIMEOUT;
    CallError::new(told.code(), told.message(), Fate::Unknown)
}
