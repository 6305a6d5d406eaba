//! One region at its hub: its nodes, who sits in the delegate's seat, and whether that one should.
//!
//! Invariant: after [`Region::settle`] the assignment is what was last told to every node that is joined.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    time::Duration,
};

use meridian_keyspace::Revision;

use super::{
    AWAIT_DELEGATE, Command, Commands, LinkId,
    node::{Hello, Node},
    penalty::Penalties,
};
use crate::{
    NodeName,
    machine::{Assignment, Term},
};

/// When a region is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    /// What the head was a while ago, if known.
    pub(super) head_late: Option<Revision>,
}

#[derive(Debug, Default)]
pub(super) struct Region {
    nodes: BTreeMap<NodeName, Node>,
    seat: Seat,
    assignment: Option<Assignment>,
    penalties: Penalties,
}

#[derive(Debug, Default)]
enum Seat {
    /// Nobody's: the next fit node gets it.
    #[default]
    Vacant,
    /// Kept for a node that others of its region follow and that has not joined here yet.
    Awaiting { node: NodeName, until: Duration },
    /// The delegate's.
    Taken(NodeName),
}

/// Which nodes may take the seat.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    /// Any fresh one; a penalised one if there is no other.
    Any,
    /// Not this one; a penalised one if there is no other.
    Instead(&'a NodeName),
    /// Not this one, and no penalised one: the seat is not empty after all.
    Better(&'a NodeName),
    /// As [`Wanted::Better`], and it holds more, although it reported no later.
    Ahead(&'a NodeName, &'a Node),
}

impl Region {
    /// What a node that joins is told: nothing while the seat waits for somebody.
    pub(super) fn assignment(&self) -> Option<&Assignment> {
        let told = self.assignment.as_ref()?;
        let holds = match &self.seat {
            Seat::Taken(_) => true,
            Seat::Vacant | Seat::Awaiting { .. } => {
                told.delegate.is_none() && !self.may_be_filled()
            }
        };
        holds.then_some(told)
    }

    /// Whether nothing is left to know about it.
    pub(super) fn is_over(&self) -> bool {
        self.nodes.is_empty() && self.penalties.is_empty()
    }

    pub(super) fn joined(&mut self, now: Duration, name: NodeName, hello: Hello) {
        let began_anew = hello.follows.as_ref() != Some(&name);
        if self.has_seat(&name) && (began_anew || hello.relay.is_none()) {
            self.vacate(now);
        }
        if let (Seat::Vacant, Some(node)) = (&self.seat, &hello.follows)
            && *node != name
            && node.region == name.region
            && !self.nodes.contains_key(node)
            && !self.penalties.holds(now, node)
        {
            self.seat = Seat::Awaiting {
                node: node.clone(),
                until: now.saturating_add(AWAIT_DELEGATE),
            };
        }
        self.nodes.insert(name, Node::new(now, hello));
    }

    pub(super) fn left(&mut self, now: Duration, name: &NodeName, link: LinkId) {
        let Entry::Occupied(entry) = self.nodes.entry(name.clone()) else {
            return;
        };
        if entry.get().link != link {
            return;
        }
        entry.remove();
        if self.has_seat(name) {
            self.vacate(now);
        }
        if self.nodes.is_empty() {
            self.seat = Seat::Vacant;
            self.assignment = None;
        }
    }

    pub(super) fn heard(&mut self, now: Duration, name: &NodeName, position: Revision) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.heard = now;
            node.position = position;
        }
    }

    pub(super) fn complained(&mut self, now: Duration, name: &NodeName, term: Term) {
        let present = self.assignment.as_ref().is_some_and(|a| a.term == term);
        if let (true, Some(node)) = (present, self.nodes.get_mut(name)) {
            node.complain(now);
        }
    }

    /// We stood still: nobody was silent meanwhile.
    pub(super) fn forgive(&mut self, now: Duration, stood_still: Duration) {
        for node in self.nodes.values_mut() {
            node.heard = node.heard.saturating_add(stood_still).min(now);
        }
    }

    /// Fills the seat anew if there is a reason and somebody for it, and tells the region.
    pub(super) fn settle(&mut self, moment: Moment, term: &mut Term, commands: &mut Commands) {
        let now = moment.now;
        self.penalties.prune(now);
        let next = match &self.seat {
            Seat::Vacant => self.best(now, Wanted::Any),
            Seat::Awaiting { node, .. } if self.can_serve(node) => Some(node.clone()),
            Seat::Awaiting { until, .. } if now >= *until => self.best(now, Wanted::Any),
            Seat::Awaiting { .. } => None,
            Seat::Taken(delegate) => self.successor(moment, delegate),
        };
        if let Some(next) = next {
            if matches!(self.seat, Seat::Taken(_)) {
                self.vacate(now);
            }
            self.seat = Seat::Taken(next);
        }
        self.announce(term, commands);
    }

    /// Who is to replace the delegate, if anybody is.
    fn successor(&self, moment: Moment, delegate: &NodeName) -> Option<NodeName> {
        let Moment { now, head_late } = moment;
        let node = self.nodes.get(delegate)?;
        if !node.is_fresh(now) {
            return self.best(now, Wanted::Instead(delegate));
        }
        let is_behind = head_late.is_some_and(|head| node.position < head);
        if is_behind && let Some(ahead) = self.best(now, Wanted::Ahead(delegate, node)) {
            return Some(ahead);
        }
        // Whoever takes the log from it is no further: whether another does better only a trial tells.
        let is_complained_of = self.nodes.values().any(|node| node.complains(now));
        if is_behind && is_complained_of || self.majority_complains(now, delegate) {
            return self.best(now, Wanted::Better(delegate));
        }
        None
    }

    /// More than half of the other nodes that are heard; the only other one twice.
    fn majority_complains(&self, now: Duration, delegate: &NodeName) -> bool {
        let others = || {
            self.nodes
                .iter()
                .filter(move |(name, node)| *name != delegate && node.is_fresh(now))
                .map(|(_, node)| node)
        };
        match others().count() {
            0 => false,
            1 => others().all(|node| node.complains_repeatedly(now)),
            count => others().filter(|node| node.complains(now)).count() > count / 2,
        }
    }

    /// The fit node that holds most; of equals the first by name.
    fn best(&self, now: Duration, wanted: Wanted<'_>) -> Option<NodeName> {
        let is_wanted = |name: &NodeName, node: &Node| match wanted {
            Wanted::Any => true,
            Wanted::Instead(delegate) => name != delegate,
            Wanted::Better(delegate) => name != delegate && !self.penalties.holds(now, name),
            Wanted::Ahead(delegate, behind) => {
                name != delegate
                    && !self.penalties.holds(now, name)
                    && node.position > behind.position
                    && node.heard <= behind.heard
            }
        };
        self.nodes
            .iter()
            .filter(|(name, node)| {
                node.relay.is_some() && node.is_fresh(now) && is_wanted(name, node)
            })
            .min_by_key(|(name, node)| {
                let penalised = self.penalties.holds(now, name);
                (penalised, std::cmp::Reverse(node.position), *name)
            })
            .map(|(name, _)| name.clone())
    }

    fn has_seat(&self, name: &NodeName) -> bool {
        matches!(&self.seat, Seat::Taken(delegate) if delegate == name)
    }

    fn can_serve(&self, name: &NodeName) -> bool {
        self.nodes
            .get(name)
            .is_some_and(|node| node.relay.is_some())
    }

    fn may_be_filled(&self) -> bool {
        self.nodes.values().any(|node| node.relay.is_some())
    }

    /// Empties the seat; who had it is not to have it back soon.
    fn vacate(&mut self, now: Duration) {
        if let Seat::Taken(delegate) = std::mem::take(&mut self.seat) {
            self.penalties.penalise(now, delegate);
        }
    }

    /// Tells every node, if what should hold is not what was told.
    fn announce(&mut self, term: &mut Term, commands: &mut Commands) {
        let delegate = match &self.seat {
            Seat::Taken(name) => {
                let relay = self.nodes[name].relay.clone();
                Some((
                    name.clone(),
                    relay.expect("only a node that can serve is named"),
                ))
            }
            // Somebody may yet be named: until then each goes on as it is.
            Seat::Vacant | Seat::Awaiting { .. } if self.may_be_filled() => return,
            Seat::Vacant | Seat::Awaiting { .. } => None,
        };
        let told = self.assignment.as_ref();
        if told.is_some_and(|told| told.delegate == delegate) || self.nodes.is_empty() {
            return;
        }
        let assignment = Assignment {
            term: *term,
            delegate,
        };
        *term = term.next();
        for (name, node) in &mut self.nodes {
            node.forget_complaint();
            commands.push(Command::Assign {
                to: name.clone(),
                assignment: assignment.clone(),
            });
        }
        self.assignment = Some(assignment);
    }
}
