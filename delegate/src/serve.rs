//! Serving the log and snapshots to whoever subscribes here: regions at a hub, members at a delegate.
//!
//! Owns the answer to a subscription. Invariants: what is sent is contiguous from the revision asked
//! for (with what must be decoded before it, if that is in the middle of a group); a reader that
//! cannot be served whole is told why, never left with a gap; each reader goes at its own pace and
//! holds nothing but its place. It does not know why somebody subscribes here.

mod history;
mod log;
mod snapshot;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use meridian_home::Home;
use meridian_revlog::EncoderConfig;
use tokio::sync::{Semaphore, watch};

use crate::{machine::Term, metrics, relay::Relay, replica::ReplicaSlot};

pub(crate) use self::{log::log, snapshot::snapshot};

/// How long a subscriber that is ahead of this relay waits for it before it is sent elsewhere: the
/// log of a hub that has just begun, or of a delegate that is a step behind, comes in less.
const BEHIND_PATIENCE: Duration = Duration::from_millis(300);

/// How long a peer may take to say what it wants, once it has opened a stream for it.
const REQUEST_DEADLINE: Duration = Duration::from_secs(5);

/// Snapshots served at once; more wait. Each is coded for its joiner alone, and what is on its way is
/// up to a window (31 MB by default) of it: half a gigabyte if all are slow.
pub(crate) const SNAPSHOTS_MAX: usize = 16;

/// Who may subscribe here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Whoever has a certificate: a hub.
    Open,
    /// Members that hold this term or an earlier one: a delegate.
    Term(Term),
    /// Nobody just now.
    Closed,
}

impl Gate {
    /// Whether a subscriber that holds `term` may be served; zero means that it goes by no term.
    pub(crate) fn admits(self, term: Term) -> bool {
        match self {
            Self::Open => true,
            Self::Term(held) => held >= term,
            Self::Closed => false,
        }
    }
}

/// What is served from.
pub(crate) struct Station {
    pub(crate) relay: Arc<Relay>,
    pub(crate) replica: Arc<ReplicaSlot>,
    /// The home, whose own history reaches further back than ours: at a hub.
    pub(crate) home: Option<Arc<dyn Home>>,
    pub(crate) gate: watch::Receiver<Gate>,
    /// How history is coded for one reader.
    pub(crate) encoder: EncoderConfig,
    pub(crate) served: Arc<Served>,
    /// Turns for snapshots: [`SNAPSHOTS_MAX`].
    pub(crate) snapshots: Semaphore,
}

/// Who is served just now.
#[derive(Default)]
pub(crate) struct Served {
    subscribers: AtomicU64,
    bypassing: AtomicU64,
}

impl Served {
    /// Readers of the log.
    pub(crate) fn subscribers(&self) -> u64 {
        self.subscribers.load(Ordering::Relaxed)
    }

    /// Of these, members that pass over their delegate.
    pub(crate) fn bypassing(&self) -> u64 {
        self.bypassing.load(Ordering::Relaxed)
    }
}

/// A reader of the log, counted while this lives.
struct Subscription {
    served: Arc<Served>,
    bypass: bool,
}

impl Subscription {
    fn opened(served: &Arc<Served>, distance: &'static str, bypass: bool) -> Self {
        metrics::subscription_opened(distance, bypass);
        served.subscribers.fetch_add(1, Ordering::Relaxed);
        served
            .bypassing
            .fetch_add(u64::from(bypass), Ordering::Relaxed);
        Self {
            served: Arc::clone(served),
            bypass,
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        metrics::subscription_closed();
        let Self { served, bypass } = self;
        served.subscribers.fetch_sub(1, Ordering::Relaxed);
        served
            .bypassing
            .fetch_sub(u64::from(*bypass), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
