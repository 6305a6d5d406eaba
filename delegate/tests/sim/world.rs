//! The simulated world: processes, one clock, one queue of what happens next; everything drawn from one seed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
    time::Duration,
};

use fastrand::Rng;
use meridian_delegate::{
    NodeName,
    machine::{HEARTBEAT, TICK, assign, source::Source},
};
use meridian_keyspace::Revision;
use meridian_revlog::{Epoch, Position};

use super::{
    home,
    hub::Hub,
    net::{Arrival, ConnId, Delivered, Io, LOG, Msg, Net, Out, Pid, pair},
    node::Node,
    shape::{Bug, Shape},
    trace::Trace,
};

const MS: Duration = Duration::from_millis(1);

/// A process: whether it runs, and what it is.
pub(crate) struct Process {
    pub(crate) name: NodeName,
    pub(crate) role: Role,
    pub(crate) is_paused: bool,
    /// Takes one message of the log in so long, if set.
    pub(crate) slow: Option<Duration>,
    log_free: Duration,
    /// Counts starts: what was meant for a former process is not for this one.
    start: u32,
    deferred: VecDeque<Happening>,
}

pub(crate) enum Role {
    Down,
    Hub(Box<Hub>),
    Node(Box<Node>),
}

#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Arrive(Arrival),
    Tick(Pid, u32),
    Beat(Pid, u32),
    Write,
    /// The home's newest commits come to a hub.
    Committed(Pid, u32),
}

struct Due {
    at: Duration,
    serial: u64,
    what: Happening,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.serial) == (other.at, other.serial)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.serial).cmp(&(other.at, other.serial))
    }
}

pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    pub(crate) shape: Shape,
    pub(crate) processes: Vec<Process>,
    pub(crate) net: Net,
    /// The home's newest revision.
    pub(crate) head: Revision,
    pub(crate) faults: Vec<String>,
    pub(crate) trace: Trace,
    pub(crate) is_writing: bool,
    queue: BinaryHeap<Reverse<Due>>,
    serial: u64,
    next_id: u64,
}

impl World {
    pub(crate) fn new(seed: u64, shape: Shape) -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            rng: Rng::with_seed(seed),
            processes: Vec::new(),
            net: Net::new(),
            head: Revision::new(100),
            faults: Vec::new(),
            trace: Trace::new(shape.is_traced),
            is_writing: true,
            queue: BinaryHeap::new(),
            serial: 0,
            next_id: 0,
            shape,
        };
        world.net.loss_per_mille = world.shape.loss_per_mille;
        world.populate();
        world.after(MS, Happening::Write);
        world
    }

    fn populate(&mut self) {
        let mut names: Vec<NodeName> = Vec::new();
        for index in 0..self.shape.hubs {
            names.push(NodeName {
                region: "home".to_owned(),
                name: format!("hub{index}"),
            });
        }
        for (region, nodes) in self.shape.regions.iter().enumerate() {
            for index in 0..nodes.count {
                names.push(NodeName {
                    region: format!("region{region}"),
                    name: format!("node{index}"),
                });
            }
        }
        for name in names {
            self.processes.push(Process {
                name,
                role: Role::Down,
                is_paused: false,
                slow: None,
                log_free: Duration::ZERO,
                start: 0,
                deferred: VecDeque::new(),
            });
        }
        for a in 0..self.processes.len() {
            for b in a + 1..self.processes.len() {
                let delay = self
                    .shape
                    .one_way(&self.processes[a].name, &self.processes[b].name);
                self.net.delay.insert((Pid(a), Pid(b)), delay);
            }
        }
        for pid in self.pids() {
            self.start(pid);
        }
    }

    pub(crate) fn pids(&self) -> impl Iterator<Item = Pid> + use<> {
        (0..self.processes.len()).map(Pid)
    }

    pub(crate) fn is_hub(&self, pid: Pid) -> bool {
        pid.0 < self.shape.hubs
    }

    pub(crate) fn node(&self, pid: Pid) -> Option<&Node> {
        match &self.processes[pid.0].role {
            Role::Node(node) => Some(node),
            Role::Hub(_) | Role::Down => None,
        }
    }

    fn after(&mut self, delay: Duration, what: Happening) {
        self.at(self.now + delay, what);
    }

    fn at(&mut self, at: Duration, what: Happening) {
        self.serial += 1;
        self.queue.push(Reverse(Due {
            at,
            serial: self.serial,
            what,
        }));
    }

    /// Starts a process that is down.
    pub(crate) fn start(&mut self, pid: Pid) {
        let name = self.processes[pid.0].name.clone();
        self.next_id += 1;
        let role = if self.is_hub(pid) {
            let back = if self.shape.is_hub_forgetful { 0 } else { 50 };
            let revision = Revision::new(self.head.get() - back);
            let is_old =
                matches!(self.shape.bug, Bug::OlderEpoch) && self.processes[pid.0].start > 0;
            let position = Position {
                epoch: Epoch::new(u64::from(!is_old)),
                revision,
            };
            let mut hub = Hub::start(
                self.now,
                position,
                self.shape.codec,
                self.shape.window_bytes,
                self.next_id,
            );
            if let Bug::DropBatch(number) = self.shape.bug {
                hub.relay.drop_every = Some(number);
            }
            Role::Hub(Box::new(hub))
        } else {
            let hubs = (0..self.shape.hubs).map(Pid).collect();
            let peers: BTreeMap<_, _> = self
                .pids()
                .map(|pid| (self.processes[pid.0].name.to_string(), pid))
                .collect();
            Role::Node(Box::new(Node::start(
                name,
                hubs,
                peers,
                self.shape.window_bytes,
            )))
        };
        let process = &mut self.processes[pid.0];
        process.role = role;
        process.start += 1;
        let start = process.start;
        let phase = TICK.mul_f64(self.rng.f64());
        self.after(phase, Happening::Tick(pid, start));
        let phase = HEARTBEAT.mul_f64(self.rng.f64());
        self.after(phase, Happening::Beat(pid, start));
        self.after(MS, Happening::Committed(pid, start));
    }

    /// Kills a process: nobody is told.
    pub(crate) fn kill(&mut self, pid: Pid) {
        for conn in self.net.conns_of(pid) {
            self.net.forget(conn, pid);
        }
        let process = &mut self.processes[pid.0];
        process.role = Role::Down;
        process.is_paused = false;
        process.slow = None;
        process.deferred.clear();
    }

    /// Ends a process in order: links are closed with a word.
    pub(crate) fn leave(&mut self, pid: Pid) {
        for conn in self.net.conns_of(pid) {
            self.send(pid, conn, Msg::Closed);
        }
        self.kill(pid);
    }

    pub(crate) fn pause(&mut self, pid: Pid) {
        self.processes[pid.0].is_paused = true;
    }

    pub(crate) fn go_on(&mut self, pid: Pid) {
        let process = &mut self.processes[pid.0];
        process.is_paused = false;
        let deferred = std::mem::take(&mut process.deferred);
        for what in deferred {
            // What waits is handled in its order, the timers somewhere between.
            let delay = match what {
                Happening::Arrive(_) | Happening::Committed(..) | Happening::Write => MS * 5,
                Happening::Tick(..) | Happening::Beat(..) => (MS * 10).mul_f64(self.rng.f64()),
            };
            self.after(delay, what);
        }
    }

    pub(crate) fn cut(&mut self, a: Pid, b: Pid) {
        self.net.cuts.entry(pair(a, b)).or_insert(self.now);
    }

    pub(crate) fn heal(&mut self, a: Pid, b: Pid) {
        for (at, arrival) in self.net.heal(self.now, &mut self.rng, a, b) {
            self.at(at, Happening::Arrive(arrival));
        }
    }

    /// Lets the world go on until then, or until it finds a fault.
    pub(crate) fn run_until(&mut self, end: Duration) {
        while self.faults.is_empty() {
            match self.queue.peek() {
                Some(Reverse(due)) if due.at <= end => {}
                Some(_) | None => break,
            }
            let Some(Reverse(due)) = self.queue.pop() else {
                break;
            };
            self.now = due.at;
            self.happen(due.what);
        }
        self.now = end;
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Write => self.write(),
            Happening::Arrive(arrival) => self.arrive(arrival),
            Happening::Tick(pid, start) if self.runs(pid, start, &what) => {
                self.after(TICK, what);
                self.with(pid, |role, io| match role {
                    Role::Hub(hub) => hub.step(io, assign::Event::Tick),
                    Role::Node(node) => node.tick(io),
                    Role::Down => {}
                });
            }
            Happening::Beat(pid, start) if self.runs(pid, start, &what) => {
                self.after(HEARTBEAT, what);
                for conn in self.net.idle(self.now, pid) {
                    self.net.forget(conn, pid);
                    self.receive(pid, conn, Msg::Closed);
                }
                self.with(pid, |role, io| match role {
                    Role::Hub(hub) => hub.beat(io),
                    Role::Node(node) => node.beat(io),
                    Role::Down => {}
                });
            }
            Happening::Committed(pid, start) if self.runs(pid, start, &what) => self.committed(pid),
            Happening::Tick(..) | Happening::Beat(..) | Happening::Committed(..) => {}
        }
    }

    /// Whether that process runs; puts it off if it is stopped.
    fn runs(&mut self, pid: Pid, start: u32, what: &Happening) -> bool {
        let process = &mut self.processes[pid.0];
        if process.start != start || matches!(process.role, Role::Down) {
            return false;
        }
        if process.is_paused {
            process.deferred.push_back(what.clone());
        }
        !process.is_paused
    }

    fn write(&mut self) {
        if self.is_writing {
            self.head = Revision::new(self.head.get() + self.rng.i64(1..3));
            for pid in (0..self.shape.hubs).map(Pid) {
                let start = self.processes[pid.0].start;
                self.after(MS, Happening::Committed(pid, start));
            }
        }
        let pause = self.shape.write_every.mul_f64(0.5 + self.rng.f64());
        self.after(pause, Happening::Write);
    }

    fn committed(&mut self, pid: Pid) {
        let head = self.head;
        self.with(pid, |role, io| {
            if let Role::Hub(hub) = role
                && hub.next_due() <= head
            {
                // What was missed comes in batches of some size.
                for commits in home::commits(hub.next_due(), head).chunks(8) {
                    hub.committed(io, commits);
                }
            }
        });
    }

    fn arrive(&mut self, arrival: Arrival) {
        let Some(pid) = self.net.receiver(arrival) else {
            return;
        };
        let process = &mut self.processes[pid.0];
        if process.is_paused {
            process.deferred.push_back(Happening::Arrive(arrival));
            return;
        }
        if let (Some(pace), LOG) = (process.slow, arrival.channel) {
            if self.now < process.log_free {
                let at = process.log_free;
                self.at(at, Happening::Arrive(arrival));
                return;
            }
            process.log_free = self.now + pace;
        }
        let is_down = matches!(self.processes[pid.0].role, Role::Down);
        let delivered = self.net.deliver(self.now, arrival);
        match delivered {
            Delivered::Nothing => {}
            // Nobody listens there: it is lost.
            Delivered::To(..) if is_down => self.net.forget(arrival.conn, pid),
            Delivered::To(pid, Msg::Closed) if !self.net.is_open(arrival.conn, pid) => {
                self.reset_or_closed(pid, arrival.conn);
            }
            Delivered::To(pid, msg) => self.receive(pid, arrival.conn, msg),
        }
    }

    /// Either our end was just closed by the peer's word, or it never stood: then the peer is told.
    fn reset_or_closed(&mut self, pid: Pid, conn: ConnId) {
        let Some(peer) = self.net.peer(conn, pid) else {
            return;
        };
        self.receive(pid, conn, Msg::Closed);
        if self.net.is_open(conn, peer) && !self.net.is_cut(pid, peer) {
            self.net.forget(conn, peer);
            if !self.processes[peer.0].is_paused {
                self.receive(peer, conn, Msg::Closed);
            }
        }
    }

    fn receive(&mut self, pid: Pid, conn: ConnId, msg: Msg) {
        self.trace.note(|| {
            format!(
                "{} {} {conn:?} {msg:?}",
                self.now.as_micros(),
                self.processes[pid.0].name
            )
        });
        let from = self.net.peer(conn, pid).unwrap_or(pid);
        self.with(pid, |role, io| match role {
            Role::Hub(hub) => hub.receive(io, conn, msg),
            Role::Node(node) => node.receive(io, conn, from, msg),
            Role::Down => {}
        });
    }

    fn with(&mut self, pid: Pid, act: impl FnOnce(&mut Role, &mut Io<'_>)) {
        let source = self.source(pid);
        let served = self.served_count(pid);
        let mut io = Io {
            now: self.now,
            out: Vec::new(),
            faults: Vec::new(),
            next_id: &mut self.next_id,
        };
        act(&mut self.processes[pid.0].role, &mut io);
        let Io { out, faults, .. } = io;
        self.faults.extend(faults);
        for out in out {
            match out {
                Out::Dial { conn, to } => {
                    let sent = self.net.dial(self.now, &mut self.rng, conn, (pid, to));
                    self.sent(sent);
                }
                Out::Send { conn, msg } => self.send(pid, conn, msg),
                Out::Close { conn } => {
                    self.send(pid, conn, Msg::Closed);
                    self.net.forget(conn, pid);
                }
            }
        }
        let after = self.source(pid);
        if source != after {
            let name = &self.processes[pid.0].name;
            self.trace
                .note(|| format!("{} {name} takes from {after:?}", self.now.as_micros()));
        }
        if self.served_count(pid) > served {
            self.check_no_loop(pid);
        }
    }

    fn served_count(&self, pid: Pid) -> usize {
        self.node(pid).map_or(0, |node| node.relay.readers.len())
    }

    /// For the trace only.
    fn source(&self, pid: Pid) -> Option<Source> {
        if !self.shape.is_traced {
            return None;
        }
        self.node(pid).map(|node| node.chooser.source().clone())
    }

    fn send(&mut self, pid: Pid, conn: ConnId, msg: Msg) {
        self.trace.note(|| {
            format!(
                "{} {} sends {conn:?} {msg:?}",
                self.now.as_micros(),
                self.processes[pid.0].name
            )
        });
        let sent = self.net.send(self.now, &mut self.rng, conn, pid, msg);
        self.sent(sent);
    }

    fn sent(&mut self, sent: Option<(Duration, Arrival)>) {
        if let Some((at, arrival)) = sent {
            self.at(at, Happening::Arrive(arrival));
        }
    }

    /// Nodes that serve each other, by however many steps, would wait for each other for ever.
    fn check_no_loop(&mut self, from: Pid) {
        let mut at = vec![from];
        for _ in 0..self.processes.len() {
            at = at.iter().flat_map(|pid| self.served_by(*pid)).collect();
            if at.contains(&from) {
                self.faults
                    .push(format!("{} feeds itself", self.processes[from.0].name));
                return;
            }
            if at.is_empty() {
                return;
            }
        }
    }

    fn served_by(&self, pid: Pid) -> Vec<Pid> {
        let conns = self.node(pid).into_iter().flat_map(Node::serves);
        conns.filter_map(|conn| self.net.peer(conn, pid)).collect()
    }
}
