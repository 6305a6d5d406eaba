//! A node's sessions: with a hub it has dialled, and with its region's delegate.
//!
//! Owns the hello, the heartbeats and the control messages of one link. A session reports and ends;
//! whether its link is used, and whether silence on it matters, others decide.

use std::{convert::Infallible, sync::Arc, time::Duration};

use meridian_keyspace::Revision;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use super::driver::{Happened, Published};
use crate::{
    NodeName,
    control::{Beats, Opened},
    link::{
        Closed, Endpoint, Kind, Link, LinkError, Recv, Send, StreamError,
        wire::{Assigned, Complaint, Control, Hello, PROTOCOL, Place, control::Body},
    },
    machine::{Assignment, HEARTBEAT, Term},
    relay::{Lineage, Relay},
};

/// How long the far end may take to answer a hello: a round trip and two retransmissions.
const HELLO_DEADLINE: Duration = Duration::from_secs(2);

/// Complaints that wait to be sent; the chooser makes one per assignment.
const COMPLAINTS_MAX: usize = 8;

/// What a node says of itself.
#[derive(Clone)]
pub(super) struct SessionConfig {
    pub(super) me: NodeName,
    /// Drawn when the process began.
    pub(super) instance: u64,
    /// Where it serves members (host:port), if it can.
    pub(super) serves: Option<String>,
    pub(super) relay: Arc<Relay>,
    pub(super) published: Arc<Published>,
}

/// What a hub, or the link to it, says.
#[derive(Debug)]
pub(super) enum HubSays {
    Up {
        link: Link,
        complain: mpsc::Sender<Term>,
    },
    Assigned(Assignment),
    Heard {
        head: Revision,
    },
    Down(String),
}

/// What the delegate, or the link to it, says.
#[derive(Debug)]
pub(super) enum DelegateSays {
    Up(Link),
    Told(Assignment),
    Heard { position: Revision, received: u64 },
    Down(String),
}

/// Where a task says what happened.
pub(super) struct Reporter<S> {
    tell: mpsc::Sender<Happened>,
    wrap: Box<dyn Fn(S) -> Happened + core::marker::Send + Sync>,
}

impl<S> Reporter<S> {
    pub(super) fn new(
        tell: mpsc::Sender<Happened>,
        wrap: impl Fn(S) -> Happened + core::marker::Send + Sync + 'static,
    ) -> Self {
        Self {
            tell,
            wrap: Box::new(wrap),
        }
    }

    pub(super) async fn tell(&self, says: S) {
        // The driver is gone only when everything stops.
        let _ = self.tell.send((self.wrap)(says)).await;
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Stream(#[from] StreamError),
    #[error(transparent)]
    Closed(#[from] Closed),
    #[error("no answer to the hello")]
    NoWelcome,
    #[error("it speaks link protocol {0}, this node {PROTOCOL}; run releases that meet")]
    Protocol(u32),
}

/// Dials a hub and speaks with it until either ends it.
pub(super) async fn with_hub(
    config: SessionConfig,
    endpoint: Arc<Endpoint>,
    address: String,
    report: Reporter<HubSays>,
) {
    let ended = speak_with_hub(&config, &endpoint, &address, &report).await;
    let Err(why) = ended;
    report.tell(HubSays::Down(why.to_string())).await;
}

async fn speak_with_hub(
    config: &SessionConfig,
    endpoint: &Endpoint,
    address: &str,
    report: &Reporter<HubSays>,
) -> Result<Infallible, Ended> {
    let link = endpoint.connect_hub(address).await?;
    let Opened {
        mut send,
        mut recv,
        welcome,
    } = hello(config, &link).await?;
    config.relay.name_lineage(Lineage(welcome.lineage));
    let (complain, mut complaints) = mpsc::channel(COMPLAINTS_MAX);
    let mut beats = config.beats(&link);
    report.tell(HubSays::Up { link, complain }).await;
    let mut ticks = ticks();
    loop {
        tokio::select! {
            message = recv.message::<Control>() => {
                if let Some(Body::Assigned(assigned)) = message?.body {
                    report.tell(HubSays::Assigned(assigned.into())).await;
                }
            }
            beat = beats.hear() => {
                let head = position(beat?.at);
                report.tell(HubSays::Heard { head }).await;
            }
            Some(term) = complaints.recv() => send.message(&complaint(term)).await?,
            _ = ticks.tick() => beats.send(config.term()),
        }
    }
}

/// Dials the region's delegate and speaks with it until either ends it.
pub(super) async fn with_delegate(
    config: SessionConfig,
    endpoint: Arc<Endpoint>,
    name: NodeName,
    address: String,
    report: Reporter<DelegateSays>,
) {
    let ended = speak_with_delegate(&config, &endpoint, &name, &address, &report).await;
    let Err(why) = ended;
    report.tell(DelegateSays::Down(why.to_string())).await;
}

async fn speak_with_delegate(
    config: &SessionConfig,
    endpoint: &Endpoint,
    name: &NodeName,
    address: &str,
    report: &Reporter<DelegateSays>,
) -> Result<Infallible, Ended> {
    let link = endpoint.connect_node(address, name).await?;
    let Opened {
        mut send, mut recv, ..
    } = hello(config, &link).await?;
    let mut beats = config.beats(&link);
    let mut seen = config.published.seen.subscribe();
    let mut told = config.term().get();
    report.tell(DelegateSays::Up(link)).await;
    let mut ticks = ticks();
    loop {
        tokio::select! {
            message = recv.message::<Control>() => {
                if let Some(Body::Assigned(assigned)) = message?.body {
                    report.tell(DelegateSays::Told(assigned.into())).await;
                }
            }
            beat = beats.hear() => {
                let beat = beat?;
                let (position, received) = (position(beat.at), beat.received);
                report.tell(DelegateSays::Heard { position, received }).await;
            }
            changed = seen.changed() => {
                if changed.is_err() {
                    return Err(StreamError::Ended.into());
                }
                // A delegate that is cut off from its hub hears from its members who took over.
                let assigned = seen.borrow_and_update().assignment.as_ref().map(Assigned::from);
                if let Some(assigned) = assigned && assigned.term > told {
                    told = assigned.term;
                    send.message(&Control::from(Body::Assigned(assigned))).await?;
                }
            }
            _ = ticks.tick() => beats.send(config.term()),
        }
    }
}

async fn hello(config: &SessionConfig, link: &Link) -> Result<Opened, Ended> {
    let opening = async {
        let (mut send, mut recv): (Send, Recv) = link.open(Kind::Control).await?;
        send.message(&Control::from(Body::Hello(config.hello())))
            .await?;
        loop {
            if let Some(Body::Welcome(welcome)) = recv.message::<Control>().await?.body {
                return Ok::<_, StreamError>(Opened {
                    send,
                    recv,
                    welcome,
                });
            }
        }
    };
    let opened = timeout(HELLO_DEADLINE, opening).await;
    let opened = opened.map_err(|_| Ended::NoWelcome)??;
    match opened.welcome.protocol {
        PROTOCOL => Ok(opened),
        theirs => Err(Ended::Protocol(theirs)),
    }
}

impl SessionConfig {
    fn hello(&self) -> Hello {
        let at = self.relay.at();
        let seen = self.published.seen.borrow();
        let assignment = seen.assignment.as_ref();
        Hello {
            protocol: PROTOCOL,
            name: Some((&self.me).into()),
            relay: self.serves.clone(),
            at: at.map(|at| Place {
                epoch: at.epoch.get(),
                revision: at.revision.get(),
            }),
            instance: self.instance,
            lineage: self.relay.lineage().0,
            term: assignment.map_or(0, |assignment| assignment.term.get()),
            follows: assignment
                .and_then(Assignment::delegate_name)
                .map(Into::into),
        }
    }

    fn beats(&self, link: &Link) -> Beats {
        let received = Arc::clone(&self.published.received);
        Beats::new(link.clone(), Arc::clone(&self.relay), received)
    }

    fn term(&self) -> Term {
        let seen = self.published.seen.borrow();
        seen.assignment.as_ref().map_or(Term::default(), |a| a.term)
    }
}

fn complaint(term: Term) -> Control {
    Body::Complaint(Complaint {
        term: term.get(),
        reason: "the delegate brings no log".to_owned(),
    })
    .into()
}

fn position(at: Option<Place>) -> Revision {
    at.map_or(Revision::ZERO, |at| Revision::new(at.revision))
}

fn ticks() -> Interval {
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
