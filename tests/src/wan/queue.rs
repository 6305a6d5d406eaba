//! What is under way on one way of a UDP forwarder, and the thread that hands it out when it is due.
//!
//! One thread and one heap for all packets of a way: a condition variable is precise to some 0.1 ms, where
//! a timer of the async runtime is to 1 ms, and a busy test runtime delays nothing.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::SocketAddr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{counters::Counters, line::Line, udp::Socket};

/// Bytes under way on one way: 1 Gbit/s for 400 ms, above every delay tested.
const UNDER_WAY_BYTES_MAX: usize = 50 << 20;

/// How often the thread looks whether it should end, when nothing is due.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A datagram, or a train of them with one arrival and one destination.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) socket: Arc<Socket>,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
    /// Length of each datagram of the train; the last may be shorter.
    pub(super) stride: usize,
    pub(super) packets: u64,
    pub(super) mark: Option<quinn_udp::EcnCodepoint>,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    /// What came first goes first among those due at one time.
    turn: u64,
    parcel: Parcel,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn
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
        (self.at, self.turn).cmp(&(other.at, other.turn))
    }
}

/// What is under way, with the line it is on.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) line: Line,
    heap: BinaryHeap<Reverse<Due>>,
    bytes: usize,
    turn: u64,
    over: bool,
}

impl UnderWay {
    /// Takes a parcel that arrives `at`; gives it back when too much is under way.
    pub(super) fn push(&mut self, at: Instant, parcel: Parcel) -> Result<(), Parcel> {
        if self.bytes + parcel.bytes.len() > UNDER_WAY_BYTES_MAX {
            return Err(parcel);
        }
        self.bytes += parcel.bytes.len();
        self.turn += 1;
        let turn = self.turn;
        self.heap.push(Reverse(Due { at, turn, parcel }));
        Ok(())
    }

    fn take_due(&mut self, now: Instant) -> Option<Parcel> {
        if self.heap.peek()?.0.at > now {
            return None;
        }
        let Reverse(due) = self.heap.pop()?;
        self.bytes -= due.parcel.bytes.len();
        Some(due.parcel)
    }
}

/// The queue of one way.
#[derive(Debug)]
pub(super) struct Queue {
    under_way: Mutex<UnderWay>,
    changed: Condvar,
}

impl Queue {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            under_way: Mutex::new(UnderWay {
                line: Line::new(seed),
                heap: BinaryHeap::new(),
                bytes: 0,
                turn: 0,
                over: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, UnderWay> {
        // No panic happens under the lock; if one did, the test has failed anyway.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the handing-out thread that something was pushed.
    pub(super) fn pushed(&self) {
        self.changed.notify_one();
    }

    /// Ends the handing-out thread.
    pub(super) fn end(&self) {
        self.lock().over = true;
        self.changed.notify_all();
    }

    /// Hands out what is due until the end; nothing while `is_cut`.
    pub(super) fn hand_out(&self, counters: &Counters, is_cut: impl Fn() -> bool) {
        while let Some(parcel) = self.next() {
            if is_cut() {
                counters.lost(parcel.packets, parcel.bytes.len());
            } else {
                parcel.socket.send(&parcel);
                counters.delivered(parcel.packets, parcel.bytes.len());
            }
        }
    }

    fn next(&self) -> Option<Parcel> {
        let mut under_way = self.lock();
        loop {
            if under_way.over {
                return None;
            }
            let now = Instant::now();
            if let Some(parcel) = under_way.take_due(now) {
                return Some(parcel);
            }
            let wait = under_way
                .heap
                .peek()
                .map_or(LOOK_EVERY, |Reverse(due)| due.at - now);
            under_way = self
                .changed
                .wait_timeout(under_way, wait.min(LOOK_EVERY))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
