//! Watch fan-out: every watch is served from the replica's live apply and its history.
//!
//! Owns the client streams' watchers and what is on its way to them. Invariants: per watcher,
//! revisions go out whole, in order, each once, from its start revision on; a stream's queue is
//! bounded in bytes, and a watcher over the bound leaves the live feed and rereads history, slowing
//! nobody else. It knows no wire format: a door turns [`Delivery`] into messages.

mod catchup;
mod hub;
mod stream;
mod upstream;

use std::sync::Arc;

use meridian_keyspace::{Change, KeyRange, Revision};
use smallvec::SmallVec;
use tokio::sync::SemaphorePermit;

use crate::Engine;

pub(crate) use hub::WatchHub;
pub use stream::{StreamClosed, WatchControl, WatchDeliveries};

/// The watches of a gateway, as a door opens them.
#[derive(Clone)]
pub struct Watches {
    engine: Arc<Engine>,
}

impl Watches {
    pub(crate) fn of(engine: &Arc<Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
        }
    }

    /// Opens a client stream: the half that takes requests and the half that delivers.
    pub fn open(&self) -> (WatchControl, WatchDeliveries) {
        stream::open(self.clone())
    }

    /// Watchers and client streams open.
    pub fn counts(&self) -> (u64, u64) {
        self.hub().counts()
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn hub(&self) -> &WatchHub {
        &self.engine.watches
    }

    /// Waits for one of the places for watches that the home serves.
    async fn upstream_permit(&self) -> SemaphorePermit<'_> {
        let places = &self.engine.old_watches;
        places
            .acquire()
            .await
            .expect("the semaphore is never closed")
    }
}

/// A watcher's id, unique within its client stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub i64);

/// What a client asks to watch.
#[derive(Clone, Debug)]
pub struct WatchSpec {
    /// The id the client chose; none to have one given (from 0 up, skipping used ones).
    pub id: Option<WatchId>,
    /// The keys.
    pub range: KeyRange,
    /// The first revision wanted; zero for the next one.
    pub start: Revision,
    /// Whether puts are wanted.
    pub puts: Wanted,
    /// Whether deletes are wanted.
    pub deletes: Wanted,
    /// Whether deliveries carry progress when nothing else was sent for a while.
    pub progress: Wanted,
}

/// Whether a kind of message is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// The changes of one delivery: most often one.
pub type Changes = SmallVec<[Arc<Change>; 1]>;

/// One thing to tell the client.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// The watcher exists; always its first delivery.
    Created {
        /// Its id.
        id: WatchId,
        /// The replica's revision.
        revision: Revision,
    },
    /// The watcher was not created.
    Rejected {
        /// Why.
        reason: Rejection,
        /// The replica's revision.
        revision: Revision,
    },
    /// The watcher is gone.
    Canceled {
        /// Its id.
        id: WatchId,
        /// Why.
        reason: Cancellation,
        /// The replica's revision.
        revision: Revision,
    },
    /// Changes that the watcher matches, whole revisions in order.
    Events {
        /// Its id.
        id: WatchId,
        /// The changes; [`Pick`] picks the events that match.
        changes: Changes,
        /// What to pick.
        pick: Arc<Pick>,
        /// The revision for the header: at least that of the last change.
        revision: Revision,
    },
    /// Everything up to `revision` has been delivered, to this watcher or (none) to all.
    Progress {
        /// The watcher, none for all of the stream.
        id: Option<WatchId>,
        /// The revision.
        revision: Revision,
    },
}

/// Which events of a change a watcher wants.
#[derive(Clone, Debug)]
pub struct Pick {
    /// The keys.
    pub range: KeyRange,
    /// Whether puts are wanted.
    pub puts: Wanted,
    /// Whether deletes are wanted.
    pub deletes: Wanted,
}

impl Pick {
    /// Whether the watcher wants this event.
    pub fn wants(&self, event: &meridian_keyspace::Event) -> bool {
        let kind = if event.record.is_tombstone() {
            self.deletes
        } else {
            self.puts
        };
        kind == Wanted::Yes && self.range.contains(event.record.key())
    }

    /// Whether the watcher wants any event of this change.
    pub fn wants_any(&self, change: &Change) -> bool {
        change.events.iter().any(|event| self.wants(event))
    }
}

/// Why a watcher was not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The id is in use on this stream.
    DuplicateId,
    /// The range holds no key.
    EmptyRange,
    /// The stream has as many watchers as it may have.
    TooManyWatchers,
    /// The start revision is negative.
    NegativeStart,
}

/// Why a watcher ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// The client asked for it.
    Asked,
    /// Revisions it still needs were compacted; the lowest that can be watched from.
    Compacted(Revision),
    /// The home ended the watch that it was being served from.
    Home(String),
}
