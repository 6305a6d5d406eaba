//! The forwarder of datagrams: one near socket for all clients, a far socket of its own for each.
//!
//! Threads, not tasks: one that takes in on each socket, one that hands out on each way. Datagrams that
//! the kernel hands over as a train leave as a train, with the same marks, so a sender at 1 Gbit/s costs
//! thousands of system calls a second, not a hundred thousand. It ends with its handle.

mod session;
mod severed;
mod socket;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context, Result};
use tokio::sync::watch;

use super::{
    BACK, Conditions, Gate, THERE, Traffic, Ways,
    counters::Counters,
    line::Passage,
    queue::{Parcel, Queue, UnderWay},
};
use session::Sessions;
use severed::Severed;
pub(super) use socket::Socket;
use socket::{Arrived, Room};

/// A forwarder on its own port, in front of one address.
#[derive(Debug)]
pub struct UdpWan {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What the threads of one forwarder share.
#[derive(Debug)]
struct Shared {
    far: SocketAddr,
    near: Arc<Socket>,
    ways: watch::Sender<Ways>,
    queues: [Queue; 2],
    counters: [Counters; 2],
    sessions: Sessions,
    severed: Severed,
    over: AtomicBool,
}

impl UdpWan {
    /// Starts a forwarder before `far`, in clear weather; its chances come from `seed`.
    ///
    /// # Errors
    /// When no port is free or no thread can be started.
    pub fn start(far: SocketAddr, seed: u64) -> Result<Self> {
        let near = Arc::new(Socket::bind()?);
        let address = near.address()?;
        let shared = Arc::new(Shared {
            far,
            near,
            ways: watch::Sender::new([Conditions::default(); 2]),
            // Two streams of chances of one seed.
            queues: [Queue::new(seed), Queue::new(!seed)],
            counters: [Counters::udp(), Counters::udp()],
            sessions: Sessions::default(),
            severed: Severed::default(),
            over: AtomicBool::new(false),
        });
        for way in [THERE, BACK] {
            let shared = shared.clone();
            spawn("wan-out", move || shared.hand_out(way))?;
        }
        let taking = shared.clone();
        spawn("wan-in", move || taking.take_in())?;
        Ok(Self { address, shared })
    }

    /// Where to send to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it leads to.
    #[must_use]
    pub fn far(&self) -> SocketAddr {
        self.shared.far
    }

    /// Changes both ways.
    pub fn set(&self, both: impl Into<Conditions>) {
        let both = both.into();
        self.shared.ways.send_replace([both, both]);
    }

    /// Changes each way.
    pub fn set_ways(&self, there: Conditions, back: Conditions) {
        self.shared.ways.send_replace([there, back]);
    }

    /// Opens or shuts both ways, and leaves them else as they are.
    pub fn gate(&self, gate: Gate) {
        self.shared
            .ways
            .send_modify(|ways| *ways = ways.map(|way| way.behind(gate)));
    }

    /// Carries nothing more for the client of this address, either way; others are not touched.
    pub fn sever(&self, client: SocketAddr) {
        self.shared.severed.set(client, true);
    }

    /// Carries for it again.
    pub fn rejoin(&self, client: SocketAddr) {
        self.shared.severed.set(client, false);
    }

    /// What went there so far.
    #[must_use]
    pub fn there(&self) -> Traffic {
        self.shared.counters[THERE].traffic()
    }

    /// What came back so far.
    #[must_use]
    pub fn back(&self) -> Traffic {
        self.shared.counters[BACK].traffic()
    }

    /// How many clients it forwards for.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.shared.sessions.len()
    }
}

impl Drop for UdpWan {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.shared.queues.iter().for_each(Queue::end);
    }
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.context("start a thread of the emulator").map(drop)
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn hand_out(&self, way: usize) {
        let is_cut = || self.ways.borrow()[way].gate == Gate::Cut;
        self.queues[way].hand_out(&self.counters[way], is_cut);
    }

    /// The near end: what clients send.
    fn take_in(self: &Arc<Self>) {
        let mut room = Room::default();
        while !self.is_over() {
            let Some(arrived) = self.near.receive(&mut room) else {
                continue;
            };
            if self.severed.has(arrived.from) {
                self.lose(THERE, &arrived);
                continue;
            }
            // Without a session there is no socket to go on from: too many clients, and so lost.
            let Some(session) = self.sessions.of(arrived.from, || self.open(arrived.from)) else {
                self.lose(THERE, &arrived);
                continue;
            };
            session.touch();
            self.carry(THERE, &arrived, session.far(), self.far);
        }
    }

    /// A far socket for a new client, and the thread that reads it.
    fn open(self: &Arc<Self>, client: SocketAddr) -> Result<Arc<Socket>> {
        let far = Arc::new(Socket::bind()?);
        let (shared, reading) = (self.clone(), far.clone());
        spawn("wan-back", move || shared.take_back(client, &reading))?;
        Ok(far)
    }

    /// The far end: what comes back for `client`, until it has been quiet for long.
    fn take_back(&self, client: SocketAddr, far: &Arc<Socket>) {
        let mut room = Room::default();
        while !self.is_over() && !self.sessions.forget_if_quiet(client) {
            let Some(arrived) = far.receive(&mut room) else {
                continue;
            };
            if self.severed.has(client) {
                self.lose(BACK, &arrived);
            } else if arrived.from == self.far {
                self.sessions.touch(client);
                self.carry(BACK, &arrived, &self.near, client);
            }
        }
    }

    fn lose(&self, way: usize, train: &Arrived<'_>) {
        self.counters[way].sent(train.packets(), train.bytes.len());
        self.counters[way].lost(train.packets(), train.bytes.len());
    }

    /// Puts a train on a way.
    fn carry(&self, way: usize, train: &Arrived<'_>, socket: &Arc<Socket>, to: SocketAddr) {
        let is = self.ways.borrow()[way];
        self.counters[way].sent(train.packets(), train.bytes.len());
        let parcel = |bytes: Vec<u8>| Parcel {
            packets: train.packets_in(bytes.len()),
            socket: socket.clone(),
            to,
            bytes,
            stride: train.stride,
            mark: train.mark,
        };
        let queue = &self.queues[way];
        let mut under_way = queue.lock();
        if is.keeps_trains() {
            self.carry_together(way, &mut under_way, &is, train, parcel);
        } else {
            for datagram in train.datagrams() {
                self.carry_one(way, &mut under_way, &is, datagram, parcel);
            }
        }
        drop(under_way);
        queue.pushed();
    }

    fn carry_together(
        &self,
        way: usize,
        under_way: &mut UnderWay,
        is: &Conditions,
        train: &Arrived<'_>,
        parcel: impl Fn(Vec<u8>) -> Parcel,
    ) {
        let mut left = Vec::with_capacity(train.bytes.len());
        for datagram in train.datagrams() {
            if under_way.line.loses(is) {
                self.counters[way].lost(1, datagram.len());
            } else {
                left.extend_from_slice(datagram);
            }
        }
        if !left.is_empty() {
            let due = under_way.line.arrival(Instant::now(), is);
            self.push(way, under_way, due, parcel(left));
        }
    }

    fn carry_one(
        &self,
        way: usize,
        under_way: &mut UnderWay,
        is: &Conditions,
        datagram: &[u8],
        parcel: impl Fn(Vec<u8>) -> Parcel,
    ) {
        match under_way.line.pass(Instant::now(), datagram.len(), is) {
            Passage::Lost => self.counters[way].lost(1, datagram.len()),
            Passage::Once(due) => self.push(way, under_way, due, parcel(datagram.to_vec())),
            Passage::Twice(due, again) => {
                self.push(way, under_way, due, parcel(datagram.to_vec()));
                self.push(way, under_way, again, parcel(datagram.to_vec()));
            }
        }
    }

    fn push(&self, way: usize, under_way: &mut UnderWay, due: Instant, parcel: Parcel) {
        if let Err(parcel) = under_way.push(due, parcel) {
            self.counters[way].lost(parcel.packets, parcel.bytes.len());
        }
    }
}
