//! A node's side: where its one log subscription goes.
//!
//! Owns what is known of the hub link, of the link to the assigned delegate and of the stream in use.
//! Invariants: only a hub or the assigned delegate is ever asked; who is the delegate itself asks the hub only,
//! so no two nodes feed each other; a working stream is not given up before the next one stands; whoever stays
//! silent or stands still is left within the times below. It does not know how links are made, nor what is on them.

mod delegate;
mod event;
mod feed;
mod hub;

use std::time::Duration;

use meridian_keyspace::Revision;

pub use event::{Command, Commands, Event, Refusal, Source};

use self::{delegate::Delegate, feed::Feed, hub::Hub};
use super::{Assignment, HEARTBEAT, Term, wake::Wake};
use crate::NodeName;

/// A delegate from which nothing came for so long, or whose stream does not stand after so long, is left for
/// the hub: three heartbeats on a LAN. With a tick and a subscription at the hub: 600 + 50 + 220 ms.
pub const FALLBACK_AFTER: Duration = Duration::from_millis(HEARTBEAT.as_millis() as u64 * 3);

/// A node without assignment waits so long for one after the hub's welcome, before it asks the hub for the
/// log: a hub tells it at once unless it awaits the region's delegate (500 ms).
pub const UNASSIGNED_WAIT: Duration = Duration::from_millis(600);

/// A hub from which nothing came for so long is left: four heartbeats. They are datagrams, so a lost one holds
/// up none, and three in a row are lost once in half an hour where one packet in twenty is.
pub const HUB_SILENT: Duration = Duration::from_millis(800);

/// A head that the hub told so long ago and that we have not reached is late: head and log travel the same way,
/// and two losses in a row (250 ms each at 220) do not make it late.
pub const LAG_LATE: Duration = Duration::from_millis(800);

/// Late, and not a byte for so long: the stream stands still.
pub const PROGRESS_LATE: Duration = Duration::from_millis(600);

/// The same of a hub's stream. Bytes count when they can be read in order, and over a WAN of 220 ms that loses
/// one packet in a hundred a snapshot stands for seconds behind a hole; whether the hub lives its heartbeats
/// tell.
pub const HUB_PROGRESS_LATE: Duration = Duration::from_secs(5);

/// Late although the log goes on: the delegate follows too slowly, or the whole region does. The hub is told,
/// so often, and names another; the stream is kept, for k members leaving at once would make a slow WAN slower.
pub const LAG_COMPLAINED_AGAIN: Duration = Duration::from_secs(5);

/// Between two attempts at a source that refused or broke off: six attempts before it is left.
pub const RETRY_SOON: Duration = Duration::from_millis(100);

/// A stream that broke off before it stood so long does not count as one that worked.
pub const STEADY_AFTER: Duration = Duration::from_secs(1);

/// The first pause before a delegate that was left is tried again; doubles.
pub const RETRY_MIN: Duration = Duration::from_secs(1);

/// The longest such pause; with the attempt itself still less than a complaint counts (20 s).
pub const RETRY_MAX: Duration = Duration::from_secs(16);

/// A delegate's stream that stood so long makes the pauses short again.
pub const RETRY_FORGOTTEN: Duration = Duration::from_secs(30);

/// A subscription that a hub has not answered for so long is repeated: four round trips of 220 ms.
pub const ANSWER_LATE: Duration = Duration::from_secs(1);

/// A hub that stays behind us for so long is left: more than a restarted one needs to read a minute of history,
/// since its link carries calls too.
pub const HUB_BEHIND: Duration = Duration::from_secs(10);

/// How often a hub's stream may disappoint, with no revision between, before its link is closed.
pub const HUB_STRIKES_MAX: u32 = 3;

/// Chooses the upstream of a node's log.
#[derive(Debug)]
pub struct SourceChooser {
    me: NodeName,
    wake: Wake,
    hub: Hub,
    delegate: Delegate,
    feed: Feed,
    assignment: Option<Assignment>,
    /// Whether the assignment is of the hub whose link stands.
    is_of_this_hub: bool,
    /// The newest assignment that another node told of while a hub of our own may still have known better.
    rumour: Option<Assignment>,
    lag_complained: Option<Duration>,
}

impl SourceChooser {
    /// A node that has no link yet and stands at `position` (zero: it holds nothing).
    pub fn new(me: NodeName, position: Revision) -> Self {
        Self {
            me,
            wake: Wake::default(),
            hub: Hub::default(),
            delegate: Delegate::default(),
            feed: Feed::new(position),
            assignment: None,
            is_of_this_hub: false,
            rumour: None,
            lag_complained: None,
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, now: Duration, event: Event) -> Commands {
        let mut commands = Commands::new();
        self.wake(now);
        match event {
            Event::HubUp => self.hub.came_up(now),
            Event::HubDown => self.hub_ended(now, &mut commands),
            Event::Assigned(assignment) => self.assigned(now, assignment, &mut commands),
            Event::Told(assignment) => self.told(now, assignment, &mut commands),
            Event::DelegateUp(name) => self.delegate.came_up(now, &name),
            Event::DelegateDown(name) => self.delegate_ended(now, &name),
            Event::Refused { source, why } => self.refused(now, &source, why),
            Event::StreamUp { source } => self.stream_up(now, source),
            Event::StreamDown { source } => self.stream_down(now, &source),
            Event::HeardHub { head } => {
                self.hub.heard(now);
                self.feed.head_told(now, head);
            }
            Event::HeardDelegate {
                delegate,
                position,
                received,
            } => self.heard_delegate(now, &delegate, position, received),
            Event::Received => self.received(now),
            Event::Advanced { revision } => {
                self.received(now);
                self.hub.forget_strikes();
                self.feed.advanced(revision);
            }
            Event::Tick => self.tick(now, &mut commands),
        }
        self.settle(now, &mut commands);
        commands
    }

    /// The assignment held.
    pub fn assignment(&self) -> Option<&Assignment> {
        self.assignment.as_ref()
    }

    /// Whose stream is in use.
    pub fn source(&self) -> &Source {
        self.feed.source()
    }

    /// The term under which this node serves members. `None`: it does not, and what members subscribed
    /// here is to be ended at once (look after each [`SourceChooser::handle`]).
    pub fn serving(&self) -> Option<Term> {
        let held = self.assignment.as_ref()?;
        (held.delegate_name() == Some(&self.me)).then_some(held.term)
    }

    /// Whether a member that subscribes under `term` may be served.
    ///
    /// # Errors
    /// [`Refusal::NotHeld`].
    pub fn admits(&self, term: Term) -> Result<(), Refusal> {
        match self.serving() {
            Some(held) if held >= term => Ok(()),
            Some(_) | None => Err(Refusal::NotHeld),
        }
    }

    fn assigned(&mut self, now: Duration, assignment: Assignment, commands: &mut Commands) {
        let is_old = self
            .assignment
            .as_ref()
            .is_some_and(|held| assignment.term < held.term);
        if self.is_of_this_hub && is_old {
            return;
        }
        self.is_of_this_hub = self.hub.is_up();
        self.adopt(now, assignment, commands);
    }

    fn told(&mut self, now: Duration, assignment: Assignment, commands: &mut Commands) {
        let is_newer = self
            .assignment
            .as_ref()
            .is_none_or(|held| assignment.term > held.term);
        if !is_newer {
            return;
        }
        if self.hub.is_up() {
            // It may be dead, and only we do not know yet.
            self.rumour = Some(assignment);
        } else {
            self.adopt(now, assignment, commands);
        }
    }

    fn adopt(&mut self, now: Duration, assignment: Assignment, commands: &mut Commands) {
        let is_new = self.assignment.as_ref() != Some(&assignment);
        let target = assignment
            .delegate
            .as_ref()
            .filter(|(name, _)| *name != self.me);
        match target {
            Some((name, address)) if is_new => {
                if self.delegate.assigned(now, name) {
                    commands.push(Command::ConnectDelegate(name.clone(), address.clone()));
                }
                // Who never had a stream begins to miss one now.
                self.feed.expect_stream(now);
            }
            Some(_) => {}
            None => self.delegate.unassigned(),
        }
        self.assignment = Some(assignment);
        self.rumour = None;
    }

    fn hub_ended(&mut self, now: Duration, commands: &mut Commands) {
        self.hub.ended();
        self.is_of_this_hub = false;
        self.feed.hub_ended(now);
        if let Some(rumour) = self.rumour.take() {
            self.told(now, rumour, commands);
        }
        // The delegate is the only way left.
        self.delegate.retry_now(now);
    }

    fn delegate_ended(&mut self, now: Duration, name: &NodeName) {
        let stood = self.feed.ended(now, &Source::Delegate(name.clone()));
        self.delegate.link_ended(now, name, stood);
    }

    fn refused(&mut self, now: Duration, source: &Source, why: Refusal) {
        // Both pass: it will hold it, or catch up, or its hub sees that it does not.
        let (Refusal::NotHeld | Refusal::Behind) = why;
        self.feed.not_answered(source);
        match source {
            Source::None => {}
            Source::Hub => self.hub.refused(now),
            Source::Delegate(name) => self.delegate.refused(now, name),
        }
    }

    fn stream_up(&mut self, now: Duration, source: Source) {
        match &source {
            Source::None => {}
            Source::Hub => self.hub.answered(),
            Source::Delegate(name) => self.delegate.heard(now, name),
        }
        self.feed.stands(now, source);
    }

    fn stream_down(&mut self, now: Duration, source: &Source) {
        let stood = self.feed.ended(now, source);
        match source {
            Source::None => {}
            Source::Hub => self.hub.stream_ended(now, stood),
            Source::Delegate(name) => self.delegate.stream_ended(now, name, stood),
        }
    }

    fn heard_delegate(&mut self, now: Duration, name: &NodeName, position: Revision, bytes: u64) {
        self.delegate.heard(now, name);
        let is_receiving = self.delegate.counted(name, position, bytes);
        self.feed.heard_delegate(now, name);
        // It is where we are and busy with what comes next: not its fault.
        if is_receiving && position == self.feed.position() {
            self.feed.is_on_its_way(now);
            self.delegate.is_busy(now, name);
        }
    }

    fn received(&mut self, now: Duration) {
        match self.feed.source() {
            Source::None => {}
            Source::Hub => self.hub.heard(now),
            Source::Delegate(name) => self.delegate.heard(now, &name.clone()),
        }
        self.feed.received(now);
    }
}

mod settle;

#[cfg(test)]
mod tests;
