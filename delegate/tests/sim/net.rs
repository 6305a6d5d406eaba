//! The simulated network: links as ordered streams with delay, cuts, silence and resets.
//!
//! A link (QUIC connection) has, each way, a control and a log channel; a channel is a queue, so what is sent
//! over it arrives in order or not at all. In a cut nothing arrives; what was sent comes after it, once the
//! sender's probe timer (doubling: at most as long as the cut lasted) fires, if both ends still hold the link.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use fastrand::Rng;
use meridian_delegate::{
    NodeName,
    machine::{Assignment, Term, source::Refusal},
};
use meridian_keyspace::Revision;
use meridian_revlog::{Batch, GroupId, Position};

/// A process by its place in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pid(pub(crate) usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) u64);

#[derive(Clone, Debug)]
pub(crate) enum Msg {
    Syn,
    SynAck,
    Hello {
        name: NodeName,
        relay: Option<String>,
        position: Revision,
        follows: Option<NodeName>,
    },
    Welcome,
    HubBeat {
        head: Revision,
    },
    NodeBeat {
        position: Revision,
    },
    PeerBeat {
        position: Revision,
        received: u64,
        holds: Option<Assignment>,
    },
    Assign(Assignment),
    Complaint {
        term: Term,
    },
    Subscribe {
        stream: StreamId,
        from: Revision,
        have: Option<(GroupId, u32)>,
        term: Term,
    },
    Refused(StreamId, Refusal),
    Subscribed(StreamId),
    Chunk(StreamId),
    Positioned(StreamId, Position),
    Batches(StreamId, Vec<Batch>),
    StreamEnd(StreamId),
    Closed,
}

impl Msg {
    fn channel(&self) -> usize {
        match self {
            Self::Subscribed(_)
            | Self::Chunk(_)
            | Self::Positioned(..)
            | Self::Batches(..)
            | Self::Refused(..)
            | Self::StreamEnd(_) => LOG,
            _ => CONTROL,
        }
    }
}

const CONTROL: usize = 0;
pub(crate) const LOG: usize = 1;

/// What a process does to the network while it handles something.
pub(crate) enum Out {
    Dial { conn: ConnId, to: Pid },
    Send { conn: ConnId, msg: Msg },
    Close { conn: ConnId },
}

/// What a handler is given.
pub(crate) struct Io<'a> {
    pub(crate) now: Duration,
    pub(crate) out: Vec<Out>,
    pub(crate) faults: Vec<String>,
    pub(crate) next_id: &'a mut u64,
}

impl Io<'_> {
    pub(crate) fn fresh(&mut self) -> u64 {
        *self.next_id += 1;
        *self.next_id
    }

    pub(crate) fn dial(&mut self, to: Pid) -> ConnId {
        let conn = ConnId(self.fresh());
        self.out.push(Out::Dial { conn, to });
        conn
    }

    pub(crate) fn send(&mut self, conn: ConnId, msg: Msg) {
        self.out.push(Out::Send { conn, msg });
    }

    pub(crate) fn close(&mut self, conn: ConnId) {
        self.out.push(Out::Close { conn });
    }
}

#[derive(Default)]
struct Channel {
    waiting: VecDeque<Msg>,
    last_arrival: Duration,
    /// Deliveries that a cut swallowed.
    held: u32,
}

struct End {
    pid: Pid,
    is_open: bool,
    heard: Duration,
    /// What comes to this end.
    channels: [Channel; 2],
}

pub(crate) struct Conn {
    ends: [End; 2],
}

/// A delivery that is due: pops one message of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) conn: ConnId,
    pub(crate) end: usize,
    pub(crate) channel: usize,
}

/// What came of a delivery.
pub(crate) enum Delivered {
    Nothing,
    To(Pid, Msg),
}

pub(crate) struct Net {
    conns: BTreeMap<ConnId, Conn>,
    pub(crate) cuts: BTreeMap<(Pid, Pid), Duration>,
    /// One way, by region pair: filled by the world.
    pub(crate) delay: BTreeMap<(Pid, Pid), Duration>,
    /// Of a thousand messages so many are lost once: they come 1.1 round trips later.
    pub(crate) loss_per_mille: u32,
}

pub(crate) fn pair(a: Pid, b: Pid) -> (Pid, Pid) {
    (a.min(b), a.max(b))
}

/// A link without a word for so long is closed by either end.
const IDLE: Duration = Duration::from_secs(3);

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            conns: BTreeMap::new(),
            cuts: BTreeMap::new(),
            delay: BTreeMap::new(),
            loss_per_mille: 0,
        }
    }

    pub(crate) fn is_cut(&self, a: Pid, b: Pid) -> bool {
        self.cuts.contains_key(&pair(a, b))
    }

    pub(crate) fn peer(&self, conn: ConnId, me: Pid) -> Option<Pid> {
        let ends = &self.conns.get(&conn)?.ends;
        ends.iter().map(|end| end.pid).find(|pid| *pid != me)
    }

    pub(crate) fn dial(
        &mut self,
        now: Duration,
        rng: &mut Rng,
        conn: ConnId,
        (from, to): (Pid, Pid),
    ) -> Option<(Duration, Arrival)> {
        let end = |pid, is_open| End {
            pid,
            is_open,
            heard: now,
            channels: Default::default(),
        };
        self.conns.insert(
            conn,
            Conn {
                ends: [end(from, true), end(to, false)],
            },
        );
        self.send(now, rng, conn, from, Msg::Syn)
    }

    /// Sends, if the sender's end stands; when what arrives where.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        rng: &mut Rng,
        id: ConnId,
        from: Pid,
        msg: Msg,
    ) -> Option<(Duration, Arrival)> {
        let conn = self.conns.get_mut(&id)?;
        let mine = usize::from(conn.ends[1].pid == from);
        if !conn.ends[mine].is_open {
            return None;
        }
        let delay = self.delay[&pair(from, conn.ends[1 - mine].pid)];
        let mut arrival = now + delay + delay.mul_f64(rng.f64() * 0.05);
        if rng.u32(0..1000) < self.loss_per_mille {
            arrival += delay.mul_f64(2.2);
        }
        let channel = msg.channel();
        let queue = &mut conn.ends[1 - mine].channels[channel];
        queue.last_arrival = queue.last_arrival.max(arrival);
        queue.waiting.push_back(msg);
        Some((
            queue.last_arrival,
            Arrival {
                conn: id,
                end: 1 - mine,
                channel,
            },
        ))
    }

    pub(crate) fn receiver(&self, arrival: Arrival) -> Option<Pid> {
        Some(self.conns.get(&arrival.conn)?.ends[arrival.end].pid)
    }

    /// A process that lives is to get what is due.
    pub(crate) fn deliver(&mut self, now: Duration, arrival: Arrival) -> Delivered {
        let Some(conn) = self.conns.get_mut(&arrival.conn) else {
            return Delivered::Nothing;
        };
        let is_cut = self
            .cuts
            .contains_key(&pair(conn.ends[0].pid, conn.ends[1].pid));
        let end = &mut conn.ends[arrival.end];
        let channel = &mut end.channels[arrival.channel];
        let is_first = matches!(channel.waiting.front(), Some(Msg::Syn));
        if is_cut && !is_first {
            channel.held += 1;
            return Delivered::Nothing;
        }
        let Some(msg) = channel.waiting.pop_front() else {
            return Delivered::Nothing;
        };
        if is_cut {
            return Delivered::Nothing;
        }
        end.heard = now;
        match msg {
            Msg::Syn => end.is_open = true,
            Msg::Closed if end.is_open => end.is_open = false,
            _ if !end.is_open => {
                // Nobody knows this link here (any more): a reset goes back.
                return Delivered::To(end.pid, Msg::Closed);
            }
            _ => {}
        }
        Delivered::To(end.pid, msg)
    }

    /// Whether this end stands.
    pub(crate) fn is_open(&self, conn: ConnId, pid: Pid) -> bool {
        self.conns
            .get(&conn)
            .is_some_and(|conn| conn.ends.iter().any(|end| end.pid == pid && end.is_open))
    }

    /// Closes one end without a word.
    pub(crate) fn forget(&mut self, conn: ConnId, pid: Pid) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            for end in conn.ends.iter_mut().filter(|end| end.pid == pid) {
                end.is_open = false;
            }
        }
        self.conns.retain(|_, conn| {
            conn.ends
                .iter()
                .any(|end| end.is_open || !end.channels.iter().all(|c| c.waiting.is_empty()))
        });
    }

    pub(crate) fn conns_of(&self, pid: Pid) -> BTreeSet<ConnId> {
        let of = |conn: &Conn| conn.ends.iter().any(|end| end.pid == pid && end.is_open);
        self.conns
            .iter()
            .filter(|(_, conn)| of(conn))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Links of this process on which nothing came for long.
    pub(crate) fn idle(&self, now: Duration, pid: Pid) -> Vec<ConnId> {
        let is_idle =
            |end: &End| end.pid == pid && end.is_open && now.saturating_sub(end.heard) >= IDLE;
        self.conns
            .iter()
            .filter(|(_, conn)| conn.ends.iter().any(is_idle))
            .map(|(id, _)| *id)
            .collect()
    }

    /// Ends a cut: what it held comes later.
    pub(crate) fn heal(
        &mut self,
        now: Duration,
        rng: &mut Rng,
        a: Pid,
        b: Pid,
    ) -> Vec<(Duration, Arrival)> {
        let Some(since) = self.cuts.remove(&pair(a, b)) else {
            return Vec::new();
        };
        let probe = now.saturating_sub(since).min(Duration::from_secs(1));
        let delay = self.delay[&pair(a, b)];
        let mut arrivals = Vec::new();
        for (id, conn) in &mut self.conns {
            if pair(conn.ends[0].pid, conn.ends[1].pid) != pair(a, b) {
                continue;
            }
            let at = now + delay + probe.mul_f64(rng.f64());
            for (index, end) in conn.ends.iter_mut().enumerate() {
                for (number, channel) in end.channels.iter_mut().enumerate() {
                    channel.last_arrival = channel.last_arrival.max(at);
                    for _ in 0..std::mem::take(&mut channel.held) {
                        arrivals.push((
                            channel.last_arrival,
                            Arrival {
                                conn: *id,
                                end: index,
                                channel: number,
                            },
                        ));
                    }
                }
            }
        }
        arrivals
    }
}
