//! Who watches what, and handing each applied change to the watchers it concerns.
//!
//! Invariant: under the hub's lock, every live watcher has been given each matching change from
//! its `next` up to `dispatched`. Locks are taken hub first, then a stream's queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use meridian_keyspace::{Change, Revision, watch::WatchIndex};
use parking_lot::Mutex;

use super::{Delivery, Pick, Wanted, WatchId, stream::StreamQueue};

/// A watcher's place in the hub.
pub(super) type Slot = u32;

/// All watchers of one gateway.
pub(crate) struct WatchHub {
    state: Mutex<State>,
    pub(super) progress_interval: Duration,
    watchers: AtomicU64,
    pub(super) streams: AtomicU64,
}

struct State {
    index: WatchIndex<Slot>,
    entries: Vec<Option<Entry>>,
    free: Vec<Slot>,
    dispatched: Revision,
    matched: Vec<Slot>,
}

struct Entry {
    stream: Arc<StreamQueue>,
    id: WatchId,
    pick: Arc<Pick>,
    /// The first revision that the watcher has not been given.
    next: Revision,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It is given each change as it is applied.
    Live,
    /// It rereads history.
    Lagging,
    /// It is served by the home until it reaches local history.
    Upstream,
}

/// What a lagging watcher still needs.
pub(super) struct Arrears {
    pub(super) id: WatchId,
    pub(super) pick: Arc<Pick>,
    pub(super) next: Revision,
}

/// How far a stream's watchers are.
pub(super) enum Synced {
    /// All of them have been given everything up to here.
    To(Revision),
    /// Some are behind, or begin in the future.
    NotYet,
}

impl WatchHub {
    pub(crate) fn new(progress_interval: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                index: WatchIndex::new(),
                entries: Vec::new(),
                free: Vec::new(),
                dispatched: Revision::ZERO,
                matched: Vec::new(),
            }),
            progress_interval,
            watchers: AtomicU64::new(0),
            streams: AtomicU64::new(0),
        }
    }

    /// Watchers and streams open.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (
            self.watchers.load(Ordering::Relaxed),
            self.streams.load(Ordering::Relaxed),
        )
    }

    /// The replica begins anew at `revision`: live watchers that have not seen everything up to it
    /// have to find the rest in history.
    pub(crate) fn restart(&self, revision: Revision) {
        let mut state = self.state.lock();
        let seen = state.dispatched;
        state.dispatched = seen.max(revision);
        if revision <= seen {
            return;
        }
        for (slot, entry) in state.entries.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            if entry.phase == Phase::Live && entry.next <= revision {
                entry.next = entry.next.max(seen.next());
                entry.phase = Phase::Lagging;
                entry.stream.lag(slot as Slot);
            }
        }
    }

    /// Hands an applied change to the watchers it concerns. Called for each revision, in order.
    pub(crate) fn dispatch(&self, change: &Arc<Change>) {
        let bytes = change.bytes();
        let state = &mut *self.state.lock();
        state.dispatched = change.revision;
        state.matched.clear();
        for event in &change.events {
            let matched = &mut state.matched;
            state
                .index
                .matches(event.record.key(), &mut |slot| matched.push(slot));
        }
        if change.events.len() > 1 {
            state.matched.sort_unstable();
            state.matched.dedup();
        }
        for slot in &state.matched {
            let entry = state.entries[*slot as usize]
                .as_mut()
                .expect("indexed slots are taken");
            entry.give(*slot, change, bytes);
        }
    }

    /// Adds a watcher and queues its created answer, so that no event can overtake it.
    pub(super) fn add(
        &self,
        stream: &Arc<StreamQueue>,
        id: WatchId,
        pick: Pick,
        start: Revision,
    ) -> Slot {
        let pick = Arc::new(pick);
        let state = &mut *self.state.lock();
        let dispatched = state.dispatched;
        let slot = state.free.pop().unwrap_or_else(|| {
            state.entries.push(None);
            (state.entries.len() - 1) as Slot
        });
        let next = if start == Revision::ZERO {
            dispatched.next()
        } else {
            start
        };
        let phase = if next > dispatched {
            Phase::Live
        } else {
            Phase::Lagging
        };
        stream.push_control(Delivery::Created {
            id,
            revision: dispatched,
        });
        state.index.insert(&pick.range, slot);
        state.entries[slot as usize] = Some(Entry {
            stream: Arc::clone(stream),
            id,
            pick,
            next,
            phase,
        });
        if phase == Phase::Lagging {
            stream.lag(slot);
        }
        self.watchers.fetch_add(1, Ordering::Relaxed);
        slot
    }

    /// Takes a watcher away; nothing is given to it afterwards.
    pub(super) fn remove(&self, slot: Slot) -> Revision {
        let state = &mut *self.state.lock();
        if let Some(entry) = state.entries[slot as usize].take() {
            state.index.remove(&entry.pick.range, slot);
            state.free.push(slot);
            self.watchers.fetch_sub(1, Ordering::Relaxed);
        }
        state.dispatched
    }

    pub(super) fn dispatched(&self) -> Revision {
        self.state.lock().dispatched
    }

    /// What a lagging watcher of this stream needs; none if it is gone or no longer lags.
    pub(super) fn arrears(&self, slot: Slot, stream: &Arc<StreamQueue>) -> Option<Arrears> {
        let state = self.state.lock();
        let entry = state.entries.get(slot as usize)?.as_ref()?;
        (entry.phase == Phase::Lagging && Arc::ptr_eq(&entry.stream, stream)).then(|| Arrears {
            id: entry.id,
            pick: Arc::clone(&entry.pick),
            next: entry.next,
        })
    }

    /// A watcher has been given everything below `next`: it goes live, or lags on.
    pub(super) fn caught_up_to(&self, slot: Slot, stream: &Arc<StreamQueue>, next: Revision) {
        let state = &mut *self.state.lock();
        let dispatched = state.dispatched;
        if let Some(entry) = state.of_stream(slot, stream) {
            entry.next = next;
            if next > dispatched {
                entry.phase = Phase::Live;
            } else {
                entry.phase = Phase::Lagging;
                stream.lag(slot);
            }
        }
    }

    /// A watcher is served by the home for now; whether it is still there.
    pub(super) fn served_upstream(&self, slot: Slot, stream: &Arc<StreamQueue>) -> bool {
        let state = &mut *self.state.lock();
        state
            .of_stream(slot, stream)
            .map(|entry| entry.phase = Phase::Upstream)
            .is_some()
    }

    /// Whether everything has been queued for these watchers *and* delivered.
    pub(super) fn synced(&self, stream: &StreamQueue, slots: impl Iterator<Item = Slot>) -> Synced {
        let state = self.state.lock();
        let mut entries = slots.filter_map(|slot| state.entries[slot as usize].as_ref());
        let ahead = state.dispatched.next();
        if stream.is_drained() && entries.all(|e| e.phase == Phase::Live && e.next <= ahead) {
            Synced::To(state.dispatched)
        } else {
            Synced::NotYet
        }
    }
}

impl State {
    fn of_stream(&mut self, slot: Slot, stream: &Arc<StreamQueue>) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(slot as usize)?.as_mut()?;
        Arc::ptr_eq(&entry.stream, stream).then_some(entry)
    }
}

impl Entry {
    fn give(&mut self, slot: Slot, change: &Arc<Change>, bytes: usize) {
        if self.phase != Phase::Live || change.revision < self.next || !self.wants(change) {
            return;
        }
        if !self.stream.push_change(self.id, &self.pick, change, bytes) {
            self.phase = Phase::Lagging;
            self.next = change.revision;
            self.stream.lag(slot);
        }
    }

    /// The index has matched the range already; only filters are left to ask.
    fn wants(&self, change: &Change) -> bool {
        (self.pick.puts == Wanted::Yes && self.pick.deletes == Wanted::Yes)
            || self.pick.wants_any(change)
    }
}
