//! The hub's side: names one delegate per region and tells the region.
//!
//! Owns who is joined and how each did lately. Invariants: one delegate per region, always a joined node that
//! can serve members; it stays until there is a reason *and* somebody better; each change has a new term and
//! is told to every node of its region. It does not know what a node makes of it.

mod event;
mod node;
mod penalty;
mod region;

use std::{collections::BTreeMap, time::Duration};

pub use event::{Command, Commands, Event, LinkId};

use self::{
    node::Hello,
    region::{Moment, Region},
};
use super::{Assignment, HEARTBEAT, Term, head::HeadHistory, wake::Wake};
use crate::NodeName;

/// Without a word for so long a node is taken for dead: four heartbeats. A heartbeat that the network loses
/// once is sent again within some 1.1 round trips (250 ms at 220), so one loss (200 + 250) is no silence.
pub const HEARD_LATE: Duration = Duration::from_millis(HEARTBEAT.as_millis() as u64 * 4);

/// A delegate that has not reached what was the head so long ago is behind, if others do better. A healthy
/// one reports a revision after a round trip and a heartbeat: 220 + 200 ms; the rest is for bursts.
pub const LAG_LATE: Duration = Duration::from_secs(1);

/// How long a joined node's delegate is awaited before another is named. Nodes whose hub died find it and dial
/// the next one within a heartbeat, a tick and a round trip of each other: 470 ms.
pub const AWAIT_DELEGATE: Duration = Duration::from_millis(500);

/// How long a complaint counts: longer than the longest pause between a member's attempts (16 s).
pub const COMPLAINT_FRESH: Duration = Duration::from_secs(20);

/// The only other node of a region has no majority to find; it must complain twice, so far apart.
pub const COMPLAINT_APART: Duration = Duration::from_secs(1);

/// The first penalty of a replaced delegate; doubles while it is replaced again soon after.
pub const PENALTY_MIN: Duration = Duration::from_secs(5);

/// The longest penalty, and how long after its end a past one is remembered.
pub const PENALTY_MAX: Duration = Duration::from_secs(60);

/// Names one delegate per region.
#[derive(Debug)]
pub struct Assigner {
    term: Term,
    head: HeadHistory,
    wake: Wake,
    regions: BTreeMap<String, Region>,
}

impl Assigner {
    /// A hub without nodes, whose first assignment has `first_term`: give unix milliseconds, so that the
    /// terms of a restarted hub go on growing.
    pub fn new(first_term: Term) -> Self {
        Self {
            term: first_term,
            head: HeadHistory::new(LAG_LATE),
            wake: Wake::default(),
            regions: BTreeMap::new(),
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, now: Duration, event: Event) -> Commands {
        if let Some(stood_still) = self.wake.event(now) {
            self.head.forgive();
            for region in self.regions.values_mut() {
                region.forgive(now, stood_still);
            }
        }
        match event {
            Event::Joined {
                node,
                link,
                relay,
                position,
                follows,
            } => {
                let hello = Hello {
                    link,
                    relay,
                    position,
                    follows,
                };
                self.joined(now, node, hello)
            }
            Event::Left { node, link } => self.in_region(now, &node, |region, now| {
                region.left(now, &node, link);
            }),
            Event::Heard { node, position } => self.in_region(now, &node, |region, now| {
                region.heard(now, &node, position);
            }),
            Event::Complained { node, term } => self.in_region(now, &node, |region, now| {
                region.complained(now, &node, term);
            }),
            Event::Head { revision } => {
                self.head.told(now, revision);
                Commands::new()
            }
            Event::Tick => self.tick(now),
        }
    }

    /// The assignment of a region, if it has one.
    pub fn assignment(&self, region: &str) -> Option<&Assignment> {
        self.regions.get(region)?.assignment()
    }

    fn joined(&mut self, now: Duration, node: NodeName, hello: Hello) -> Commands {
        self.regions.entry(node.region.clone()).or_default();
        let mut commands = self.in_region(now, &node, |region, now| {
            region.joined(now, node.clone(), hello);
        });
        // A change has told it already; else it is told what holds.
        let region = &self.regions[&node.region];
        if let (true, Some(assignment)) = (commands.is_empty(), region.assignment()) {
            commands.push(Command::Assign {
                to: node,
                assignment: assignment.clone(),
            });
        }
        commands
    }

    fn in_region(
        &mut self,
        now: Duration,
        node: &NodeName,
        change: impl FnOnce(&mut Region, Duration),
    ) -> Commands {
        let mut commands = Commands::new();
        let moment = Moment {
            now,
            head_late: self.head.late(now),
        };
        if let Some(region) = self.regions.get_mut(&node.region) {
            change(region, now);
            region.settle(moment, &mut self.term, &mut commands);
        }
        commands
    }

    fn tick(&mut self, now: Duration) -> Commands {
        self.head.tick(now);
        let moment = Moment {
            now,
            head_late: self.head.late(now),
        };
        let mut commands = Commands::new();
        for region in self.regions.values_mut() {
            region.settle(moment, &mut self.term, &mut commands);
        }
        self.regions.retain(|_, region| !region.is_over());
        commands
    }
}

#[cfg(test)]
mod tests;
