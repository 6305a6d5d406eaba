//! The links of a process, for status and metrics: who is at the other end, how far, what it carries.
//!
//! Invariant: a byte is counted once; the totals never go back when a link ends. It decides nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use crate::{NodeName, link::Link};

/// How far the other end of a link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    /// In another region.
    Wan,
    /// In this one.
    Lan,
}

impl Distance {
    pub(crate) fn between(me: &NodeName, peer: &NodeName) -> Self {
        match me.region == peer.region {
            true => Self::Lan,
            false => Self::Wan,
        }
    }

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Wan => "wan",
            Self::Lan => "lan",
        }
    }
}

/// Bytes of UDP datagrams over all links, ended ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) wan_in: u64,
    pub(crate) wan_out: u64,
    pub(crate) lan_in: u64,
    pub(crate) lan_out: u64,
}

impl Totals {
    fn add(&mut self, distance: Distance, link: &Link) {
        let bytes = link.bytes();
        let (incoming, outgoing) = match distance {
            Distance::Wan => (&mut self.wan_in, &mut self.wan_out),
            Distance::Lan => (&mut self.lan_in, &mut self.lan_out),
        };
        *incoming += bytes.received;
        *outgoing += bytes.sent;
    }
}

/// One link as status shows it.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// Who is at the other end, as region/name.
    pub peer: String,
    /// Whether it is in another region.
    pub wan: bool,
    /// Smoothed round trip, as QUIC measures it.
    pub rtt_ms: f64,
    /// The least one seen.
    pub rtt_min_ms: f64,
    /// How much it varies.
    pub jitter_ms: f64,
    /// UDP bytes sent.
    pub bytes_sent: u64,
    /// UDP bytes received.
    pub bytes_received: u64,
    /// Packets lost on the way out.
    pub lost_packets: u64,
}

/// All links of a process.
#[derive(Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Vec<(Distance, Link)>,
    ended: Totals,
}

/// A link is in the books while this lives.
pub(crate) struct Tracked {
    ledger: Arc<Ledger>,
    link: Link,
}

impl Ledger {
    pub(crate) fn track(self: &Arc<Self>, distance: Distance, link: &Link) -> Tracked {
        self.state.lock().live.push((distance, link.clone()));
        Tracked {
            ledger: Arc::clone(self),
            link: link.clone(),
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let state = self.state.lock();
        let mut totals = state.ended;
        for (distance, link) in &state.live {
            totals.add(*distance, link);
        }
        totals
    }

    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        let live = self.state.lock().live.clone();
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        let mut peers: Vec<PeerStatus> = live
            .iter()
            .map(|(distance, link)| {
                let (rtt, bytes) = (link.rtt(), link.bytes());
                PeerStatus {
                    peer: link.peer().to_string(),
                    wan: *distance == Distance::Wan,
                    rtt_ms: ms(rtt.smoothed),
                    rtt_min_ms: ms(rtt.min),
                    jitter_ms: ms(rtt.jitter),
                    bytes_sent: bytes.sent,
                    bytes_received: bytes.received,
                    lost_packets: link.lost_packets(),
                }
            })
            .collect();
        peers.sort_by(|a, b| a.peer.cmp(&b.peer));
        peers
    }

    /// Measures every link, so that its jitter is known.
    pub(crate) fn sample(&self) {
        for (_, link) in &self.state.lock().live {
            link.rtt();
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let mut state = self.ledger.state.lock();
        if let Some(at) = state
            .live
            .iter()
            .position(|(_, link)| link.is_same(&self.link))
        {
            let (distance, link) = state.live.swap_remove(at);
            state.ended.add(distance, &link);
        }
    }
}
