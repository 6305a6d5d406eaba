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

use super::{Cancellation, Delivery, Pick, Wanted, WatchId, stream::StreamQueue};

/// A row of the hub's table; taken again when its watcher is gone.
type Slot = u32;

/// A watcher's place in the hub; never another's, even after it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    slot: Slot,
    serial: u64,
}

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
    /// Watchers ever added.
    serials: u64,
}

struct Entry {
    serial: u64,
    /// The last revision that concerned it: one of many events finds it once.
    concerned: Revision,
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
    /// It is about to be canceled.
    Ended,
}

/// What a lagging watcher still needs.
pub(super) struct Arrears {
    pub(super) id: WatchId,
    pub(super) pick: Arc<Pick>,
    pub(super) next: Revision,
}

/// What became of a change offered to a watcher that the home serves.
pub(super) enum Offered {
    /// It is queued.
    Taken,
    /// There is no room for it yet.
    Full,
    /// The watcher is gone.
    Gone,
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
                serials: 0,
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
                entry.stream.lag(entry.place(slot as Slot));
            }
        }
    }

    /// The replica begins anew with another history, at `revision`: what any watcher waits for is
    /// gone, and its client has to read again.
    pub(crate) fn begin_anew(&self, revision: Revision) {
        let mut state = self.state.lock();
        state.dispatched = revision;
        for (slot, entry) in state.entries.iter_mut().enumerate() {
            let Some(entry) = entry else { continue };
            entry.phase = Phase::Ended;
            let reason = Cancellation::Compacted(revision);
            entry
                .stream
                .cancel(entry.id, entry.place(slot as Slot), reason);
        }
    }

    /// Hands an applied change to the watchers it concerns. Called for each revision, in order.
    pub(crate) fn dispatch(&self, change: &Arc<Change>) {
        let bytes = change.bytes();
        let state = &mut *self.state.lock();
        state.dispatched = change.revision;
        state.matched.clear();
        let (entries, matched) = (&mut state.entries, &mut state.matched);
        for event in &change.events {
            state.index.matches(event.record.key(), &mut |slot| {
                let entry = entries[slot as usize]
                    .as_mut()
                    .expect("indexed slots are taken");
                if entry.concerned != change.revision {
                    entry.concerned = change.revision;
                    matched.push(slot);
                }
            });
        }
        for slot in &state.matched {
            let entry = state.entries[*slot as usize]
                .as_mut()
                .expect("indexed slots are taken");
            entry.give(*slot, change, bytes);
        }
    }

    /// Adds a watcher and queues its created answer, so that no event can overtake it. Without a
    /// start it begins after `floor`, which its client has seen, and after what was dispatched.
    pub(super) fn add(
        &self,
        stream: &Arc<StreamQueue>,
        id: WatchId,
        pick: Pick,
        start: Revision,
        floor: Revision,
    ) -> Place {
        let pick = Arc::new(pick);
        let state = &mut *self.state.lock();
        let dispatched = state.dispatched;
        let slot = state.free.pop().unwrap_or_else(|| {
            state.entries.push(None);
            (state.entries.len() - 1) as Slot
        });
        let next = if start == Revision::ZERO {
            dispatched.max(floor).next()
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
        state.serials += 1;
        let serial = state.serials;
        let place = Place { slot, serial };
        state.entries[slot as usize] = Some(Entry {
            serial,
            concerned: Revision::ZERO,
            stream: Arc::clone(stream),
            id,
            pick,
            next,
            phase,
        });
        if phase == Phase::Lagging {
            stream.lag(place);
        }
        self.watchers.fetch_add(1, Ordering::Relaxed);
        place
    }

    /// Takes a watcher away; nothing is given to it afterwards.
    pub(super) fn remove(&self, place: Place) -> Revision {
        let state = &mut *self.state.lock();
        if state.at(place).is_some()
            && let Some(entry) = state.entries[place.slot as usize].take()
        {
            state.index.remove(&entry.pick.range, place.slot);
            state.free.push(place.slot);
            self.watchers.fetch_sub(1, Ordering::Relaxed);
        }
        state.dispatched
    }

    pub(super) fn dispatched(&self) -> Revision {
        self.state.lock().dispatched
    }

    /// What a lagging watcher needs; none if it is gone or no longer lags.
    pub(super) fn arrears(&self, place: Place) -> Option<Arrears> {
        let state = &mut *self.state.lock();
        let entry = state.at(place)?;
        (entry.phase == Phase::Lagging).then(|| Arrears {
            id: entry.id,
            pick: Arc::clone(&entry.pick),
            next: entry.next,
        })
    }

    /// A watcher has been given everything below `next`: it goes live, or lags on.
    pub(super) fn caught_up_to(&self, place: Place, next: Revision) {
        let state = &mut *self.state.lock();
        let dispatched = state.dispatched;
        let Some(entry) = state.at(place) else { return };
        if entry.phase == Phase::Ended {
            return;
        }
        entry.next = next;
        if next > dispatched {
            entry.phase = Phase::Live;
            // Progress may have waited for this.
            entry.stream.wake();
        } else {
            entry.phase = Phase::Lagging;
            entry.stream.lag(place);
        }
    }

    /// A lagging watcher is served by the home for now; whether it is still there.
    pub(super) fn served_upstream(&self, place: Place) -> bool {
        let state = &mut *self.state.lock();
        match state.at(place) {
            Some(entry) if entry.phase == Phase::Lagging => {
                entry.phase = Phase::Upstream;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Gives a change to a watcher that the home serves.
    pub(super) fn offer(&self, place: Place, change: &Arc<Change>, bytes: usize) -> Offered {
        let state = &mut *self.state.lock();
        match state.at(place) {
            Some(entry) if entry.phase == Phase::Upstream => {
                match entry
                    .stream
                    .push_change(entry.id, &entry.pick, change, bytes)
                {
                    true => Offered::Taken,
                    false => Offered::Full,
                }
            }
            Some(_) | None => Offered::Gone,
        }
    }

    /// Whether everything has been queued for these watchers *and* delivered.
    pub(super) fn synced(
        &self,
        stream: &StreamQueue,
        places: impl Iterator<Item = Place>,
    ) -> Synced {
        let state = self.state.lock();
        let mut entries = places.filter_map(|at| state.entries[at.slot as usize].as_ref());
        let ahead = state.dispatched.next();
        if stream.is_drained() && entries.all(|e| e.phase == Phase::Live && e.next <= ahead) {
            Synced::To(state.dispatched)
        } else {
            Synced::NotYet
        }
    }
}

impl State {
    fn at(&mut self, place: Place) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(place.slot as usize)?.as_mut()?;
        (entry.serial == place.serial).then_some(entry)
    }
}

impl Entry {
    fn place(&self, slot: Slot) -> Place {
        let serial = self.serial;
        Place { slot, serial }
    }

    fn give(&mut self, slot: Slot, change: &Arc<Change>, bytes: usize) {
        if self.phase != Phase::Live || change.revision < self.next || !self.wants(change) {
            return;
        }
        if !self.stream.push_change(self.id, &self.pick, change, bytes) {
            self.phase = Phase::Lagging;
            self.next = change.revision;
            self.stream.lag(self.place(slot));
        }
    }

    /// The index has matched the range already; only filters are left to ask.
    fn wants(&self, change: &Change) -> bool {
        (self.pick.puts == Wanted::Yes && self.pick.deletes == Wanted::Yes)
            || self.pick.wants_any(change)
    }
}
