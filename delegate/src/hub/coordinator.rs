//! Drives the assigner: what nodes say goes in, whom each region follows comes out.
//!
//! Invariant: one assigner, one task; a node is told over its newest link, the newest assignment
//! alone. It decides nothing.

use std::{collections::HashMap, sync::Arc, time::Instant};

use meridian_keyspace::Revision;
use serde::Serialize;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};

use crate::{
    NodeName,
    machine::{
        Assignment, TICK, Term,
        assign::{Assigner, Command, Event, LinkId},
    },
    metrics,
    relay::Relay,
};

/// Events that wait: a thousand nodes say five a second each, and the assigner takes microseconds.
pub(super) const EVENTS_MAX: usize = 4096;

/// Ticks between two pictures for status: half a second.
const SHOW_TICKS: u32 = 10;

/// What a control stream tells the coordinator.
pub(super) enum Said {
    /// To the assigner.
    Event(Event),
    /// A node joined over a link; assignments for it go here.
    Joined(Event, watch::Sender<Option<Assignment>>),
}

/// A region as the hub sees it.
#[derive(Clone, Debug, Serialize)]
pub struct RegionSeen {
    /// Its name.
    pub region: String,
    /// Its delegate.
    pub delegate: Option<String>,
    /// The term of that.
    pub term: u64,
    /// Its nodes.
    pub nodes: Vec<NodeSeen>,
}

/// A node as the hub sees it.
#[derive(Clone, Debug, Serialize)]
pub struct NodeSeen {
    /// Its name in its region.
    pub name: String,
    /// The last revision that it has said it holds.
    pub position: i64,
}

struct Known {
    link: LinkId,
    tell: watch::Sender<Option<Assignment>>,
    position: Revision,
}

pub(super) struct Coordinator {
    relay: Arc<Relay>,
    assigner: Assigner,
    began: Instant,
    nodes: HashMap<NodeName, Known>,
    assigned: HashMap<String, Assignment>,
    head: Revision,
    ticks: u32,
    seen: watch::Sender<Vec<RegionSeen>>,
}

impl Coordinator {
    pub(super) fn new(
        relay: Arc<Relay>,
        seen: watch::Sender<Vec<RegionSeen>>,
        first: Term,
    ) -> Self {
        Self {
            relay,
            assigner: Assigner::new(first),
            began: Instant::now(),
            nodes: HashMap::new(),
            assigned: HashMap::new(),
            head: Revision::ZERO,
            ticks: 0,
            seen,
        }
    }

    /// Runs until it is dropped.
    pub(super) async fn run(mut self, mut arriving: mpsc::Receiver<Said>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(said) = arriving.recv() => self.apply(said),
                _ = ticks.tick() => {
                    self.head();
                    self.handle(Event::Tick);
                    self.ticks += 1;
                    if self.ticks.is_multiple_of(SHOW_TICKS) {
                        self.show();
                    }
                }
            }
        }
    }

    fn apply(&mut self, said: Said) {
        match said {
            Said::Joined(event, tell) => {
                if let Event::Joined {
                    node,
                    link,
                    position,
                    ..
                } = &event
                {
                    let known = Known {
                        link: *link,
                        tell,
                        position: *position,
                    };
                    self.nodes.insert(node.clone(), known);
                }
                self.handle(event);
            }
            Said::Event(event) => {
                match &event {
                    Event::Left { node, link } => {
                        if self
                            .nodes
                            .get(node)
                            .is_some_and(|known| known.link == *link)
                        {
                            self.nodes.remove(node);
                        }
                    }
                    Event::Heard { node, position } => {
                        if let Some(known) = self.nodes.get_mut(node) {
                            known.position = *position;
                        }
                    }
                    Event::Complained { node, term } => {
                        tracing::info!(%node, %term, "a member gets no log from its delegate");
                    }
                    Event::Joined { .. } | Event::Head { .. } | Event::Tick => {}
                }
                self.handle(event);
            }
        }
    }

    fn head(&mut self) {
        let head = self.relay.at().map_or(Revision::ZERO, |at| at.revision);
        if head != self.head {
            self.head = head;
            self.handle(Event::Head { revision: head });
        }
    }

    fn handle(&mut self, event: Event) {
        for command in self.assigner.handle(self.began.elapsed(), event) {
            let Command::Assign { to, assignment } = command;
            let region = self.assigned.get(&to.region);
            if region.is_none_or(|known| known.term < assignment.term) {
                let delegate = assignment.delegate_name().map(ToString::to_string);
                tracing::info!(region = to.region, ?delegate, term = %assignment.term,
                    "named the region's delegate");
                metrics::assigned();
                self.assigned.insert(to.region.clone(), assignment.clone());
            }
            if let Some(known) = self.nodes.get(&to) {
                known.tell.send_replace(Some(assignment));
            }
        }
    }

    /// Publishes what is seen, for status.
    fn show(&mut self) {
        let mut regions: HashMap<&str, Vec<NodeSeen>> = HashMap::new();
        for (node, known) in &self.nodes {
            regions.entry(&node.region).or_default().push(NodeSeen {
                name: node.name.clone(),
                position: known.position.get(),
            });
        }
        let mut regions: Vec<RegionSeen> = regions
            .into_iter()
            .map(|(region, mut nodes)| {
                nodes.sort_by(|a, b| a.name.cmp(&b.name));
                let assigned = self.assigned.get(region);
                RegionSeen {
                    region: region.to_owned(),
                    delegate: assigned
                        .and_then(Assignment::delegate_name)
                        .map(|name| name.name.clone()),
                    term: assigned.map_or(0, |assigned| assigned.term.get()),
                    nodes,
                }
            })
            .collect();
        regions.sort_by(|a, b| a.region.cmp(&b.region));
        self.seen.send_replace(regions);
    }
}
