//! What both ends of a control stream share: the opened stream and the heartbeats on it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    link::{
        Recv, Send,
        wire::{Control, Heartbeat, Place, Welcome, control::Body},
    },
    machine::Term,
    relay::Relay,
};

/// A control stream behind its hello.
pub(crate) struct Opened {
    pub(crate) send: Send,
    pub(crate) recv: Recv,
    pub(crate) welcome: Welcome,
}

/// The heartbeats of one end.
pub(crate) struct Beats {
    relay: Arc<Relay>,
    received: Arc<AtomicU64>,
    sequence: u64,
    heard: u64,
}

impl Beats {
    pub(crate) fn new(relay: Arc<Relay>, received: Arc<AtomicU64>) -> Self {
        Self {
            relay,
            received,
            sequence: 0,
            heard: 0,
        }
    }

    /// One of the other end came.
    pub(crate) fn heard(&mut self, beat: &Heartbeat) {
        self.heard = self.heard.max(beat.sequence);
    }

    /// The next one of this end.
    pub(crate) fn next(&mut self, term: Term) -> Control {
        self.sequence += 1;
        Body::Heartbeat(Heartbeat {
            at: self.relay.at().map(|at| Place {
                epoch: at.epoch.get(),
                revision: at.revision.get(),
            }),
            term: term.get(),
            sequence: self.sequence,
            heard: self.heard,
            received: self.received.load(Ordering::Relaxed),
        })
        .into()
    }
}
