//! What befalls a world and what must hold then.
//!
//! Two stories. `single`: one fault after another, each with time to settle; after every change (a fault begins,
//! a fault ends) each node that is alive and can reach a hub, itself or through its region, must have applied
//! a revision committed after that change within two seconds. `chaos`: faults on top of each other, with loss;
//! then all are ended, and the same must hold once; after settling each region takes one copy over the WAN.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fastrand::Rng;
use meridian_delegate::machine::source::Source;
use meridian_keyspace::Revision;

use super::{
    net::Pid,
    shape::{Bug, Shape},
    world::{Role, World},
};

/// Any single fault is over for the readers after so long.
pub(crate) const RECOVERED_WITHIN: Duration = Duration::from_secs(2);

/// The longest settling: a hub that flapped is returned to after 160 s at most, and a delegate that was left is tried
/// again after 16 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill(Pid),
    /// Ended in order, and started again.
    Leave(Pid),
    Pause(Pid),
    Cut(Pid, Pid),
    /// A node that no other of its region reaches.
    CutFromRegion(Pid),
    /// A node that reaches no hub.
    CutFromHubs(Pid),
    SlowFollow(Pid, Duration),
    /// It follows and says so, and passes nothing on.
    StuckRelay(Pid),
}

/// How a world ended.
pub(crate) struct Outcome {
    pub(crate) faults: Vec<String>,
    pub(crate) hash: u64,
    pub(crate) trace: Vec<String>,
    pub(crate) slowest: Duration,
    pub(crate) story: Vec<String>,
}

struct Teller {
    world: World,
    story: Vec<String>,
    slowest: Duration,
}

pub(crate) fn tell(seed: u64, change: impl FnOnce(&mut Shape)) -> Outcome {
    let mut rng = Rng::with_seed(seed);
    let mut shape = Shape::draw(&mut rng);
    let is_chaos = rng.u8(0..4) == 0;
    if is_chaos {
        shape.loss_per_mille = [0, 10, 50][rng.usize(0..3)];
    }
    change(&mut shape);
    let shape_bug = shape.bug;
    let story = vec![format!("{shape:?}")];
    let world = World::new(rng.u64(..), shape);
    let mut teller = Teller {
        world,
        story,
        slowest: Duration::ZERO,
    };
    teller.warm_up();
    if shape_bug == Bug::OlderEpoch {
        teller.restart_hub();
    }
    if is_chaos {
        teller.chaos(&mut rng);
    } else {
        teller.single(&mut rng);
    }
    teller.finish()
}

impl Teller {
    fn warm_up(&mut self) {
        self.run(Duration::from_secs(3));
        self.check_everybody("the start", |_, _| true);
    }

    fn restart_hub(&mut self) {
        let fault = Fault::Kill(Pid(0));
        self.begin(fault);
        self.run(Duration::from_millis(500));
        self.end(fault);
        self.recovers("the hub is back", None);
    }

    fn run(&mut self, length: Duration) {
        let end = self.world.now + length;
        self.world.run_until(end);
    }

    fn single(&mut self, rng: &mut Rng) {
        for _ in 0..rng.usize(2..5) {
            if !self.world.faults.is_empty() {
                return;
            }
            let fault = self.draw(rng);
            self.begin(fault);
            self.recovers(&format!("{fault:?}"), Some(fault));
            self.run(Duration::from_millis(rng.u64(0..4000)));
            if !self.world.faults.is_empty() {
                return;
            }
            self.end(fault);
            self.recovers(&format!("the end of {fault:?}"), None);
            self.run(Duration::from_millis(rng.u64(500..6000)));
        }
        self.settles();
    }

    fn chaos(&mut self, rng: &mut Rng) {
        let mut on: Vec<Fault> = Vec::new();
        for _ in 0..rng.usize(5..20) {
            if !on.is_empty() && rng.bool() {
                let fault = on.swap_remove(rng.usize(0..on.len()));
                self.end(fault);
            } else {
                let fault = self.draw(rng);
                // One at a time of each process: ending one must not end the other.
                let pids = |fault: Fault| fault.pids(&self.world);
                if !on
                    .iter()
                    .any(|other| pids(*other).iter().any(|pid| pids(fault).contains(pid)))
                {
                    self.begin(fault);
                    on.push(fault);
                }
            }
            self.run(Duration::from_millis(rng.u64(0..2500)));
        }
        for fault in on {
            self.end(fault);
        }
        self.world.net.loss_per_mille = 0;
        self.recovers("the end of all faults", None);
        self.settles();
    }

    fn draw(&self, rng: &mut Rng) -> Fault {
        let hubs = self.world.shape.hubs;
        let nodes: Vec<Pid> = self.world.pids().skip(hubs).collect();
        let delegates: Vec<Pid> = nodes
            .iter()
            .copied()
            .filter(|pid| self.is_delegate(*pid))
            .collect();
        // Delegates are few, and most of what can go wrong goes wrong at one.
        let node = match delegates.is_empty() || rng.bool() {
            true => nodes[rng.usize(0..nodes.len())],
            false => delegates[rng.usize(0..delegates.len())],
        };
        let any = match rng.u8(0..4) {
            0 => Pid(rng.usize(0..hubs)),
            _ => node,
        };
        let other = self
            .world
            .pids()
            .filter(|pid| *pid != node && self.may_talk(node, *pid));
        let other: Vec<Pid> = other.collect();
        match rng.u8(0..11) {
            0 | 1 => Fault::Kill(any),
            2 => Fault::Leave(any),
            3 | 4 => Fault::Pause(any),
            5 | 6 => Fault::Cut(node, other[rng.usize(0..other.len())]),
            7 => Fault::CutFromRegion(node),
            8 => Fault::CutFromHubs(node),
            9 => Fault::StuckRelay(node),
            _ => Fault::SlowFollow(node, Duration::from_millis(rng.u64(200..1500))),
        }
    }

    fn may_talk(&self, a: Pid, b: Pid) -> bool {
        let region = |pid: Pid| &self.world.processes[pid.0].name.region;
        self.world.is_hub(b) || region(a) == region(b)
    }

    fn is_delegate(&self, pid: Pid) -> bool {
        self.world
            .node(pid)
            .is_some_and(|node| node.chooser.serving().is_some())
    }

    fn begin(&mut self, fault: Fault) {
        self.say(&format!("begins {fault:?}"));
        match fault {
            Fault::Kill(pid) => self.world.kill(pid),
            Fault::Leave(pid) => self.world.leave(pid),
            Fault::Pause(pid) => self.world.pause(pid),
            Fault::Cut(..) | Fault::CutFromHubs(_) | Fault::CutFromRegion(_) => {
                for (a, b) in fault.cuts(&self.world) {
                    self.world.cut(a, b);
                }
            }
            Fault::SlowFollow(pid, pace) => self.world.processes[pid.0].slow = Some(pace),
            Fault::StuckRelay(pid) => self.stick(pid, true),
        }
    }

    fn end(&mut self, fault: Fault) {
        self.say(&format!("ends {fault:?}"));
        match fault {
            Fault::Kill(pid) | Fault::Leave(pid) => self.world.start(pid),
            Fault::Pause(pid) => self.world.go_on(pid),
            Fault::Cut(..) | Fault::CutFromHubs(_) | Fault::CutFromRegion(_) => {
                for (a, b) in fault.cuts(&self.world) {
                    self.world.heal(a, b);
                }
            }
            Fault::SlowFollow(pid, _) => self.world.processes[pid.0].slow = None,
            Fault::StuckRelay(pid) => self.stick(pid, false),
        }
    }

    fn stick(&mut self, pid: Pid, is_stuck: bool) {
        if let Role::Node(node) = &mut self.world.processes[pid.0].role {
            node.relay.is_stuck = is_stuck;
        }
    }

    /// After a change each node that can must apply something newer in time.
    fn recovers(&mut self, what: &str, fault: Option<Fault>) {
        let due = self.world.head.next();
        let began = self.world.now;
        // Only who is linked with others, all of one hub, can hear from them who took over.
        let united = self.united_regions();
        let waiting = |teller: &Self| teller.waiting(due, fault, &united);
        let step = Duration::from_millis(50);
        if !self.world.faults.is_empty() {
            return;
        }
        while self.world.now < began + RECOVERED_WITHIN && self.world.faults.is_empty() {
            self.run(step);
            if waiting(self).is_empty() {
                self.slowest = self.slowest.max(self.world.now - began);
                return;
            }
        }
        for pid in waiting(self) {
            let name = self.world.processes[pid.0].name.clone();
            self.world.faults.push(format!(
                "{name} has nothing new {RECOVERED_WITHIN:?} after {what}"
            ));
        }
    }

    fn united_regions(&self) -> BTreeSet<String> {
        let mut regions: BTreeMap<String, (BTreeSet<_>, usize)> = BTreeMap::new();
        for node in self.world.pids().filter_map(|pid| self.world.node(pid)) {
            let (hubs, copies) = regions.entry(node.name.region.clone()).or_default();
            hubs.insert(node.hubs.in_use());
            *copies += usize::from(node.takes_from_hub());
        }
        let is_united = |(hubs, copies): &(BTreeSet<_>, usize)| hubs.len() == 1 && *copies == 1;
        regions
            .into_iter()
            .filter(|(_, of)| is_united(of))
            .map(|(region, _)| region)
            .collect()
    }

    fn waiting(&self, due: Revision, fault: Option<Fault>, united: &BTreeSet<String>) -> Vec<Pid> {
        let is_faulty = |pid| matches!(fault, Some(Fault::SlowFollow(slow, _)) if slow == pid);
        let nodes = self
            .world
            .pids()
            .filter(|pid| self.is_able(*pid, united) && !is_faulty(*pid));
        nodes
            .filter(|pid| {
                self.world
                    .node(*pid)
                    .is_some_and(|node| node.position() < due)
            })
            .collect()
    }

    /// Whether it lives and reaches a living hub, itself or through one other node of its region.
    fn is_able(&self, pid: Pid, united: &BTreeSet<String>) -> bool {
        let region = |pid: Pid| &self.world.processes[pid.0].name.region;
        let through = |other: Pid| {
            other != pid
                && region(other) == region(pid)
                && self.lives(other)
                && !self.world.net.is_cut(pid, other)
                && self.reaches_hub(other)
        };
        let is_node = self.world.node(pid).is_some() && self.lives(pid);
        let is_united = united.contains(region(pid));
        is_node && (self.reaches_hub(pid) || (is_united && self.world.pids().any(through)))
    }

    fn lives(&self, pid: Pid) -> bool {
        let process = &self.world.processes[pid.0];
        !process.is_paused && !matches!(process.role, Role::Down)
    }

    fn reaches_hub(&self, pid: Pid) -> bool {
        let hubs = self.world.pids().take(self.world.shape.hubs);
        hubs.into_iter()
            .any(|hub| self.lives(hub) && !self.world.net.is_cut(pid, hub))
    }

    /// All is well again: one copy per region, everybody at the head.
    fn settles(&mut self) {
        if !self.world.faults.is_empty() {
            return;
        }
        let began = self.world.now;
        while self.world.now < began + SETTLED_WITHIN && self.world.faults.is_empty() {
            self.run(Duration::from_secs(1));
            if self.extra_copies().is_empty() {
                break;
            }
        }
        let extra = self.extra_copies();
        self.world.faults.extend(extra);
        self.world.is_writing = false;
        self.run(RECOVERED_WITHIN);
        let head = self.world.head;
        self.check_everybody("the end", |_, revision| revision == head);
    }

    fn extra_copies(&self) -> Vec<String> {
        let mut extra = Vec::new();
        for index in 0..self.world.shape.regions.len() {
            let region = format!("region{index}");
            let nodes = self.world.pids().filter_map(|pid| self.world.node(pid));
            let of: Vec<_> = nodes.filter(|node| node.name.region == region).collect();
            let copies = of.iter().filter(|node| node.takes_from_hub()).count();
            if copies != 1 || of.iter().any(|node| !node.is_settled()) {
                let sources: Vec<&Source> = of.iter().map(|node| node.chooser.source()).collect();
                extra.push(format!("{region} does not settle: {sources:?}"));
            }
        }
        extra
    }

    fn check_everybody(&mut self, when: &str, holds: impl Fn(Pid, Revision) -> bool) {
        for pid in self.world.pids() {
            let Some(node) = self.world.node(pid) else {
                continue;
            };
            let at = node.position();
            if node.continuity.is_none() || !holds(pid, at) {
                let fault = format!("{} is at {at} of {} at {when}", node.name, self.world.head);
                self.world.faults.push(fault);
            }
        }
    }

    fn say(&mut self, what: &str) {
        let line = format!(
            "{} ms, revision {}: {what}",
            self.world.now.as_millis(),
            self.world.head
        );
        self.world.trace.note(|| line.clone());
        self.story.push(line);
    }

    fn finish(mut self) -> Outcome {
        for pid in self.world.pids() {
            let position = self
                .world
                .node(pid)
                .map(|node| (node.position(), node.applied));
            self.world.trace.hash_in((pid, position));
        }
        Outcome {
            hash: self.world.trace.hash(),
            trace: self.world.trace.lines().to_vec(),
            faults: self.world.faults,
            slowest: self.slowest,
            story: self.story,
        }
    }
}

impl Fault {
    fn cuts(self, world: &World) -> Vec<(Pid, Pid)> {
        let region = |pid: Pid| &world.processes[pid.0].name.region;
        match self {
            Self::Cut(a, b) => vec![(a, b)],
            Self::CutFromHubs(node) => world
                .pids()
                .take(world.shape.hubs)
                .map(|hub| (node, hub))
                .collect(),
            Self::CutFromRegion(node) => world
                .pids()
                .filter(|pid| *pid != node && region(*pid) == region(node))
                .map(|pid| (node, pid))
                .collect(),
            Self::Kill(_)
            | Self::Leave(_)
            | Self::Pause(_)
            | Self::SlowFollow(..)
            | Self::StuckRelay(_) => Vec::new(),
        }
    }

    fn pids(self, world: &World) -> Vec<Pid> {
        match self {
            Self::Kill(pid)
            | Self::Leave(pid)
            | Self::Pause(pid)
            | Self::SlowFollow(pid, _)
            | Self::StuckRelay(pid) => vec![pid],
            Self::Cut(..) | Self::CutFromHubs(_) | Self::CutFromRegion(_) => self
                .cuts(world)
                .into_iter()
                .flat_map(|(a, b)| [a, b])
                .collect(),
        }
    }
}
