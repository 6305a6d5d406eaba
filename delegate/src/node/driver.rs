//! The node's driver: one event at a time into the machines, their commands carried out.
//!
//! Owns the sessions with hubs and with the delegate, and the log's stream. It decides nothing: which
//! hub, which source and who may subscribe here are said by the machines. Every task it starts has a
//! number, and what a task says after it was given up is not heard.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use meridian_home::CallError;
use meridian_keyspace::Revision;
use meridian_runtime::TaskGroup;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    members::{self, Members},
    session::{self, DelegateSays, HubSays, Reporter, SessionConfig},
    stream::{self, Answered},
    upstream::NodeUpstream,
};
use crate::{
    NodeName,
    calls::Links,
    link::{Endpoint, Link, wire::Why},
    machine::{
        Assignment, TICK, Term,
        hubs::{self, HubChooser, HubIndex},
        source::{self, Refusal, Source, SourceChooser},
    },
    metrics,
    relay::Relay,
    serve::Gate,
    until,
};

/// Events that wait for the driver: each session says some ten a second, and the driver does nothing
/// that takes long.
pub(super) const EVENTS_MAX: usize = 1024;

/// What happened in a task of the driver's.
#[derive(Debug)]
pub(super) enum Happened {
    Hub(HubIndex, u64, HubSays),
    Delegate(NodeName, u64, DelegateSays),
    Stream(u64, StreamSays),
    /// A member told whom it has been told to follow.
    Told(Assignment),
}

/// What a log stream says.
#[derive(Debug)]
pub(super) enum StreamSays {
    Up,
    Refused(Refusal),
    Down(String),
}

/// What others want to know of the driver's state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) hub: Option<NodeName>,
    pub(crate) head: Revision,
    pub(crate) assignment: Option<Assignment>,
    pub(crate) source: Option<Source>,
}

/// Where the driver publishes.
pub(crate) struct Published {
    pub(crate) hub: watch::Sender<Option<Link>>,
    pub(crate) delegate: watch::Sender<Option<Link>>,
    pub(crate) source: watch::Sender<Option<Link>>,
    pub(crate) gate: watch::Sender<Gate>,
    pub(crate) seen: watch::Sender<Seen>,
    /// Bytes of log and snapshots that have come in.
    pub(crate) received: Arc<AtomicU64>,
}

impl Published {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            hub: watch::Sender::new(None),
            delegate: watch::Sender::new(None),
            source: watch::Sender::new(None),
            gate: watch::Sender::new(Gate::Closed),
            seen: watch::Sender::new(Seen::default()),
            received: Arc::default(),
        })
    }
}

/// A session or stream; dropping it ends its task.
struct Running {
    number: u64,
    token: CancellationToken,
    _ends: DropGuard,
    link: Option<Link>,
    complain: Option<mpsc::Sender<Term>>,
    /// What a hub has said before it was used.
    assignment: Option<Assignment>,
}

struct StreamRunning {
    number: u64,
    source: Source,
    link: Link,
    _ends: DropGuard,
}

/// The parts that a driver works with, and what it keeps.
pub(super) struct Driver {
    session: SessionConfig,
    hubs: Vec<String>,
    endpoint: Arc<Endpoint>,
    upstream: Arc<NodeUpstream>,
    members: Arc<Members>,
    tasks: TaskGroup,
    tell: mpsc::Sender<Happened>,
    state: State,
}

struct State {
    began: Instant,
    numbers: u64,
    chooser: HubChooser,
    sources: SourceChooser,
    sessions: HashMap<HubIndex, Running>,
    using: Option<HubIndex>,
    delegate: Option<(NodeName, Running)>,
    current: Option<StreamRunning>,
    attempt: Option<StreamRunning>,
    received: u64,
    advanced: Revision,
}

impl Driver {
    pub(super) fn new(
        session: SessionConfig,
        hubs: Vec<String>,
        endpoint: Arc<Endpoint>,
        upstream: Arc<NodeUpstream>,
        members: Arc<Members>,
        tasks: TaskGroup,
        tell: mpsc::Sender<Happened>,
    ) -> Self {
        let state = State {
            began: Instant::now(),
            numbers: 0,
            chooser: HubChooser::new(hubs.len()),
            sources: SourceChooser::new(session.me.clone(), Revision::ZERO),
            sessions: HashMap::new(),
            using: None,
            delegate: None,
            current: None,
            attempt: None,
            received: 0,
            advanced: Revision::ZERO,
        };
        Self {
            session,
            hubs,
            endpoint,
            upstream,
            members,
            tasks,
            tell,
            state,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self, mut happened: mpsc::Receiver<Happened>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(happened) = happened.recv() => self.apply(happened),
                _ = ticks.tick() => self.tick(),
            }
            self.publish();
        }
    }

    fn tick(&mut self) {
        let received = self.session.published.received.load(Ordering::Relaxed);
        if received != self.state.received {
            self.state.received = received;
            self.source(source::Event::Received);
        }
        let at = self
            .session
            .relay
            .at()
            .map_or(Revision::ZERO, |at| at.revision);
        if at != self.state.advanced {
            self.state.advanced = at;
            self.source(source::Event::Advanced { revision: at });
        }
        self.hub(hubs::Event::Tick);
        self.source(source::Event::Tick);
    }

    fn apply(&mut self, happened: Happened) {
        match happened {
            Happened::Hub(index, number, says) => {
                let known = self.state.sessions.get(&index);
                if known.is_some_and(|session| session.number == number) {
                    self.hub_says(index, says);
                }
            }
            Happened::Delegate(name, number, says) => {
                let known = self.state.delegate.as_ref();
                if known.is_some_and(|(_, session)| session.number == number) {
                    self.delegate_says(name, says);
                }
            }
            Happened::Stream(number, says) => self.stream_says(number, says),
            Happened::Told(assignment) => self.source(source::Event::Told(assignment)),
        }
    }

    fn hub_says(&mut self, index: HubIndex, says: HubSays) {
        let using = self.state.using == Some(index);
        match says {
            HubSays::Up { link, complain } => {
                tracing::info!(hub = %link.peer(), address = self.hubs[index.0], "linked to a hub");
                if let Some(session) = self.state.sessions.get_mut(&index) {
                    session.link = Some(link.clone());
                    session.complain = Some(complain);
                    let serving = members::serve_link(Arc::clone(&self.members), link);
                    self.tasks
                        .spawn("link", until(session.token.clone(), serving));
                }
                self.hub(hubs::Event::Up(index));
            }
            HubSays::Assigned(assignment) => {
                if let Some(session) = self.state.sessions.get_mut(&index) {
                    session.assignment = Some(assignment.clone());
                }
                if using {
                    self.source(source::Event::Assigned(assignment));
                }
            }
            HubSays::Heard { head } if using => {
                self.session
                    .published
                    .seen
                    .send_modify(|seen| seen.head = head);
                self.source(source::Event::HeardHub { head });
            }
            HubSays::Heard { .. } => {}
            HubSays::Down(why) => {
                self.give_up_hub(index);
                let address = &self.hubs[index.0];
                if using {
                    tracing::warn!(%why, address, "the link to the hub ended");
                    self.stop_using();
                } else {
                    tracing::debug!(%why, address, "cannot reach a hub");
                }
                self.hub(hubs::Event::Down(index));
            }
        }
    }

    /// Ends a session whose hub is as good as dead, and its link: calls under way are told at once.
    fn give_up_hub(&mut self, index: HubIndex) {
        if let Some(link) = self
            .state
            .sessions
            .remove(&index)
            .and_then(|session| session.link)
        {
            link.close("this node has given the hub up");
        }
    }

    fn stop_using(&mut self) {
        self.state.using = None;
        self.session.published.hub.send_replace(None);
        self.session
            .published
            .seen
            .send_modify(|seen| seen.hub = None);
        self.end_streams(&Source::Hub);
        self.source(source::Event::HubDown);
    }

    fn delegate_says(&mut self, name: NodeName, says: DelegateSays) {
        match says {
            DelegateSays::Up(link) => {
                if let Some((_, session)) = &mut self.state.delegate {
                    session.link = Some(link.clone());
                    let serving = members::serve_link(Arc::clone(&self.members), link.clone());
                    self.tasks
                        .spawn("link", until(session.token.clone(), serving));
                }
                self.session.published.delegate.send_replace(Some(link));
                self.source(source::Event::DelegateUp(name));
            }
            DelegateSays::Told(assignment) => self.source(source::Event::Told(assignment)),
            DelegateSays::Heard { position, received } => {
                self.source(source::Event::HeardDelegate {
                    delegate: name,
                    position,
                    received,
                });
            }
            DelegateSays::Down(why) => {
                tracing::info!(%why, delegate = %name, "the link to the delegate ended");
                self.state.delegate = None;
                self.session.published.delegate.send_replace(None);
                self.end_streams(&Source::Delegate(name.clone()));
                self.source(source::Event::DelegateDown(name));
            }
        }
    }

    fn stream_says(&mut self, number: u64, says: StreamSays) {
        let attempt = self.state.attempt.take_if(|s| s.number == number);
        let is_current = self
            .state
            .current
            .as_ref()
            .is_some_and(|s| s.number == number);
        match (says, attempt) {
            (StreamSays::Up, Some(stream)) => {
                let source = stream.source.clone();
                tracing::info!(%source, peer = %stream.link.peer(), "taking the log");
                metrics::source_changed(label(&source));
                self.session
                    .published
                    .source
                    .send_replace(Some(stream.link.clone()));
                self.state.current = Some(stream);
                self.source(source::Event::StreamUp { source });
            }
            (StreamSays::Refused(why), Some(stream)) => {
                let source = stream.source;
                tracing::debug!(%source, ?why, "the log is not served there");
                self.source(source::Event::Refused { source, why });
            }
            (StreamSays::Down(why), Some(stream)) => self.stream_ended(stream, &why),
            (StreamSays::Down(why), None) if is_current => {
                if let Some(stream) = self.state.current.take() {
                    self.stream_ended(stream, &why);
                }
            }
            (StreamSays::Up | StreamSays::Refused(_) | StreamSays::Down(_), None) => {}
        }
    }

    fn stream_ended(&mut self, stream: StreamRunning, why: &str) {
        let source = stream.source;
        tracing::info!(%source, why, "the log's stream ended");
        self.source(source::Event::StreamDown { source });
    }

    /// The link of `source` is gone, and its streams with it.
    fn end_streams(&mut self, source: &Source) {
        self.state.current.take_if(|s| s.source == *source);
        self.state.attempt.take_if(|s| s.source == *source);
    }

    fn hub(&mut self, event: hubs::Event) {
        let now = self.state.began.elapsed();
        for command in self.state.chooser.handle(now, event) {
            match command {
                hubs::Command::Dial(index) => self.dial(index),
                hubs::Command::Use(index) => self.use_hub(index),
                hubs::Command::Close(index) => {
                    self.state.sessions.remove(&index);
                    if self.state.using == Some(index) {
                        self.stop_using();
                    }
                }
            }
        }
    }

    fn dial(&mut self, index: HubIndex) {
        let (number, token) = self.next_task();
        let tell = self.tell.clone();
        let session = session::with_hub(
            self.session.clone(),
            Arc::clone(&self.endpoint),
            self.hubs[index.0].clone(),
            Reporter::new(tell, move |says| Happened::Hub(index, number, says)),
        );
        self.tasks
            .spawn("hub-session", until(token.clone(), session));
        self.state
            .sessions
            .insert(index, Running::new(number, token));
    }

    fn use_hub(&mut self, index: HubIndex) {
        if self.state.using.is_some() {
            self.stop_using();
        }
        let Some(session) = self.state.sessions.get(&index) else {
            return;
        };
        let (link, assignment) = (session.link.clone(), session.assignment.clone());
        self.state.using = Some(index);
        self.session.published.seen.send_modify(|seen| {
            seen.hub = link.as_ref().map(|link| link.peer().clone());
        });
        self.session.published.hub.send_replace(link);
        self.source(source::Event::HubUp);
        if let Some(assignment) = assignment {
            self.source(source::Event::Assigned(assignment));
        }
    }

    fn source(&mut self, event: source::Event) {
        let now = self.state.began.elapsed();
        for command in self.state.sources.handle(now, event) {
            match command {
                source::Command::ConnectDelegate(name, address) => self.connect(name, address),
                source::Command::DropDelegate => self.drop_delegate(),
                source::Command::Subscribe(source) => self.subscribe(source),
                source::Command::Complain { term } => self.complain(term),
                source::Command::DropHub => {
                    if let Some(index) = self.state.using {
                        tracing::warn!(
                            address = self.hubs[index.0],
                            "the hub is silent or stands still"
                        );
                        self.give_up_hub(index);
                        self.stop_using();
                        self.hub(hubs::Event::Down(index));
                    }
                }
            }
        }
    }

    fn connect(&mut self, name: NodeName, address: String) {
        let (number, token) = self.next_task();
        let tell = self.tell.clone();
        let of = name.clone();
        let session = session::with_delegate(
            self.session.clone(),
            Arc::clone(&self.endpoint),
            name.clone(),
            address,
            Reporter::new(tell, move |says| {
                Happened::Delegate(of.clone(), number, says)
            }),
        );
        self.tasks
            .spawn("delegate-session", until(token.clone(), session));
        let former = self
            .state
            .delegate
            .replace((name, Running::new(number, token)));
        if let Some((_, former)) = former {
            // A former delegate that is cut off from its hub is told over this link who took over.
            self.tasks.spawn("linger", linger(former));
        }
        self.session.published.delegate.send_replace(None);
    }

    fn drop_delegate(&mut self) {
        let delegate = |stream: &mut StreamRunning| matches!(stream.source, Source::Delegate(_));
        self.session.published.delegate.send_replace(None);
        self.state.current.take_if(delegate);
        self.state.attempt.take_if(delegate);
        // Who asks the delegate for a read index is told at once, and asks the hub.
        if let Some(link) = self
            .state
            .delegate
            .take()
            .and_then(|(_, session)| session.link)
        {
            link.close("this node takes the log from elsewhere");
        }
    }

    fn complain(&mut self, term: Term) {
        let session = self
            .state
            .using
            .and_then(|index| self.state.sessions.get(&index));
        if let Some(complain) = session.and_then(|session| session.complain.as_ref()) {
            tracing::info!(%term, "telling the hub that the delegate brings no log");
            // A full queue holds complaints of the same term.
            let _ = complain.try_send(term);
        }
    }

    fn subscribe(&mut self, source: Source) {
        let link = match &source {
            Source::None => None,
            Source::Hub => self.session.published.hub.borrow().clone(),
            Source::Delegate(name) => match &self.state.delegate {
                Some((known, session)) if known == name => session.link.clone(),
                Some(_) | None => None,
            },
        };
        let Some(link) = link else {
            self.state.attempt = None;
            if source == Source::None {
                self.state.current = None;
            }
            return;
        };
        let (number, token) = self.next_task();
        let assignment = self.state.sources.assignment();
        let delegate = assignment.and_then(Assignment::delegate_name);
        let wish = Wish {
            term: match source {
                Source::Delegate(_) => assignment.map(|assignment| assignment.term),
                Source::Hub | Source::None => None,
            },
            bypass: source == Source::Hub
                && delegate.is_some_and(|delegate| *delegate != self.session.me),
        };
        let task = take_log(
            link.clone(),
            Arc::clone(&self.session.relay),
            Arc::clone(&self.upstream),
            Arc::clone(&self.session.published),
            wish,
            Reporter::new(self.tell.clone(), move |says| {
                Happened::Stream(number, says)
            }),
        );
        self.tasks.spawn("log-stream", until(token.clone(), task));
        self.state.attempt = Some(StreamRunning {
            number,
            source,
            link,
            _ends: token.drop_guard(),
        });
    }

    fn next_task(&mut self) -> (u64, CancellationToken) {
        self.state.numbers += 1;
        (self.state.numbers, CancellationToken::new())
    }

    /// Tells others where things stand, if that changed.
    fn publish(&self) {
        let gate = match self.state.sources.serving() {
            Some(term) => Gate::Term(term),
            None => Gate::Closed,
        };
        self.session.published.gate.send_if_modified(|now| {
            let changed = *now != gate;
            *now = gate;
            changed
        });
        let assignment = self.state.sources.assignment();
        let source = self.state.current.as_ref().map(|stream| &stream.source);
        self.session.published.seen.send_if_modified(|seen| {
            let changed = seen.assignment.as_ref() != assignment || seen.source.as_ref() != source;
            if changed {
                seen.assignment = assignment.cloned();
                seen.source = source.cloned();
            }
            changed
        });
    }
}

impl Running {
    fn new(number: u64, token: CancellationToken) -> Self {
        Self {
            number,
            _ends: token.clone().drop_guard(),
            token,
            link: None,
            complain: None,
            assignment: None,
        }
    }
}

/// How long the session with a former delegate is kept, so that what it is told is delivered: some
/// round trips in a region.
const LINGER: Duration = Duration::from_secs(1);

async fn linger(former: Running) {
    let _ended = timeout(LINGER, former.token.cancelled()).await;
}

/// Under which assignment the log is asked for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    term: Option<Term>,
    /// Past a delegate that there is.
    bypass: bool,
}

/// Takes the log over one link until that ends.
async fn take_log(
    link: Link,
    relay: Arc<Relay>,
    upstream: Arc<NodeUpstream>,
    published: Arc<Published>,
    wish: Wish,
    report: Reporter<StreamSays>,
) {
    let mut told_up = false;
    if relay.at().is_none() {
        // Nothing to go on from yet: this link is good to begin with, and the snapshot that a reader
        // takes over it says where.
        report.tell(StreamSays::Up).await;
        told_up = true;
        let mut changes = relay.changes();
        while relay.at().is_none() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
    let Some(at) = relay.at() else {
        return;
    };
    let due = at.revision.next();
    let ended = match stream::subscribe(&link, &relay, due, wish.term, wish.bypass).await {
        Ok((Answered::Accepted, stream)) => {
            if !told_up {
                report.tell(StreamSays::Up).await;
            }
            stream.run(&relay, &published.received).await
        }
        Ok((Answered::Compacted(compacted), _)) => {
            upstream.lose(due);
            format!("revision {due} is gone: history up to {compacted} is compacted")
        }
        Ok((Answered::Refused(Why::OtherLineage | Why::OtherEpoch), _)) => {
            upstream.lose_everything();
            "the log here is of another home".to_owned()
        }
        Ok((Answered::Refused(why), _)) if told_up => format!("refused: {why:?}"),
        Ok((Answered::Refused(why), _)) => {
            let why = match why {
                Why::NotHeld => Refusal::NotHeld,
                Why::Behind
                | Why::Compacted
                | Why::OtherLineage
                | Why::OtherEpoch
                | Why::Unknown => Refusal::Behind,
            };
            return report.tell(StreamSays::Refused(why)).await;
        }
        Err(error) => error.to_string(),
    };
    report.tell(StreamSays::Down(ended)).await;
}

fn label(source: &Source) -> &'static str {
    match source {
        Source::None => "none",
        Source::Hub => "hub",
        Source::Delegate(_) => "delegate",
    }
}

#[async_trait]
impl Links for Published {
    async fn hub(&self, deadline: Instant) -> Result<Link, CallError> {
        let mut hub = self.hub.subscribe();
        let found = timeout_at(deadline.into(), hub.wait_for(Option::is_some)).await;
        match found {
            Ok(Ok(link)) => Ok(link.clone().expect("waited for a link")),
            Ok(Err(_)) | Err(_) => Err(CallError::no_connection()),
        }
    }

    fn delegate(&self) -> Option<Link> {
        self.delegate.borrow().clone()
    }
}
