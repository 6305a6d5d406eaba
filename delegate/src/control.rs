//! What both ends of a control stream share: the opened stream and the heartbeats on it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use prost::Message;

use crate::{
    link::{
        Closed, Link, Recv, Send,
        wire::{Heartbeat, Place, Welcome},
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

/// The heartbeats of one end: datagrams, so that one that is lost holds up none that follow it, and
/// bulk holds up none at all.
pub(crate) struct Beats {
    link: Link,
    relay: Arc<Relay>,
    received: Arc<AtomicU64>,
    sequence: u64,
    heard: u64,
}

impl Beats {
    pub(crate) fn new(link: Link, relay: Arc<Relay>, received: Arc<AtomicU64>) -> Self {
        Self {
            link,
            relay,
            received,
            sequence: 0,
            heard: 0,
        }
    }

    /// The next one of the other end that is newer than those before it. Cancel-safe.
    pub(crate) async fn hear(&mut self) -> Result<Heartbeat, Closed> {
        loop {
            // What is no heartbeat is of another release, and skipped.
            let Ok(beat) = Heartbeat::decode(self.link.datagram().await?) else {
                continue;
            };
            if beat.sequence > self.heard {
                self.heard = beat.sequence;
                return Ok(beat);
            }
        }
    }

    /// Sends the next one of this end.
    pub(crate) fn send(&mut self, term: Term) {
        self.sequence += 1;
        let beat = Heartbeat {
            at: self.relay.at().map(|at| Place {
                epoch: at.epoch.get(),
                revision: at.revision.get(),
            }),
            term: term.get(),
            sequence: self.sequence,
            heard: self.heard,
            received: self.received.load(Ordering::Relaxed),
        };
        self.link.send_datagram(beat.encode_to_vec().into());
    }
}
