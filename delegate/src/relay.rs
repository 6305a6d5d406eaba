//! A process's window of the coded log, and who waits for more of it.
//!
//! Owns the one [`Window`] that everything in a process reads the log from: the replica, the mirror
//! and the members it serves. Invariants: what is in it is contiguous up to [`Relay::at`]; a batch is
//! kept as the bytes that arrived and is never coded again; a reader holds a place, not a lock, so
//! a slow one slows nobody and is told when its place is gone. It does not know what a batch holds,
//! nor where it comes from.

mod hot;

use std::sync::Arc;

use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{
    Batch, Cursor, Epoch, GroupId, Position, PushError, Pushed, RAW_BYTES_MAX, SeekError, Window,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::hot::Hot;

/// The longest batch, before coding, that readers take: a single gigantic revision can be longer,
/// and has to reach them in a snapshot. Tests have less memory.
pub(crate) const READABLE_BYTES_MAX: u64 = if cfg!(test) {
    8 << 20
} else {
    RAW_BYTES_MAX as u64
};

/// Which home a log is of: its cluster id, zero while that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lineage(pub u64);

impl Lineage {
    /// Whether the two may be of one home.
    pub(crate) fn agrees(self, other: Self) -> bool {
        self.0 == 0 || other.0 == 0 || self == other
    }
}

/// A place in a relay's window.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Which filling of the window it is in.
    filling: Filling,
    cursor: Cursor,
}

impl Place {
    pub(crate) fn filling(&self) -> Filling {
        self.filling
    }
}

/// Counts how often a window was emptied: what was read of one filling need not go on in the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filling(u64);

/// Why a place is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The window has moved on: what is due may still be had.
    Evicted,
    /// The window was filled anew, perhaps with the log of another home: what is due there is not
    /// what follows here.
    Refilled,
}

/// The window and its waiters.
pub struct Relay {
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

struct State {
    window: Window,
    window_bytes: usize,
    lineage: Lineage,
    filling: Filling,
    hot: Hot,
    raw_bytes: u64,
    coded_bytes: u64,
    /// A reader waits for a group to begin.
    join_wanted: bool,
}

/// What a relay holds, for status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Held {
    pub(crate) at: Option<Position>,
    pub(crate) first: Option<Revision>,
    pub(crate) bytes: usize,
    /// Bytes of the log that have passed, decoded and as they travel.
    pub(crate) raw_bytes: u64,
    pub(crate) coded_bytes: u64,
}

impl Relay {
    /// An empty relay that keeps up to `window_bytes` of coded log.
    pub fn new(window_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                window: Window::new(window_bytes),
                window_bytes,
                lineage: Lineage::default(),
                filling: Filling::default(),
                hot: Hot::default(),
                raw_bytes: 0,
                coded_bytes: 0,
                join_wanted: false,
            }),
            changed: watch::Sender::new(0),
        })
    }

    /// Begins at `position`, with nothing before it, in the log of `lineage`.
    pub(crate) fn position(&self, lineage: Lineage, position: Position) {
        self.refill(|state| {
            state.lineage = lineage;
            state.window.position(position);
        });
    }

    /// As [`Relay::position`], unless it stands somewhere already.
    pub(crate) fn position_if_empty(&self, lineage: Lineage, position: Position) -> bool {
        let mut state = self.state.lock();
        if state.window.at().is_some() {
            return false;
        }
        state.empty();
        state.lineage = lineage;
        state.window.position(position);
        drop(state);
        self.wake();
        true
    }

    /// Forgets everything: its readers are to begin anew.
    pub(crate) fn reset(&self) {
        self.refill(|state| state.window = Window::new(state.window_bytes));
    }

    fn refill(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        state.empty();
        change(&mut state);
        drop(state);
        self.wake();
    }

    /// Takes in a batch; `commits` are what it holds, where they are at hand.
    ///
    /// # Errors
    /// [`PushError`], if it cannot follow what is here; nothing has changed then.
    pub(crate) fn push(
        &self,
        batch: Batch,
        commits: Option<Arc<[Commit]>>,
    ) -> Result<Pushed, PushError> {
        let mut state = self.state.lock();
        let raw_bytes = batch.raw_len() as usize;
        let coded_bytes = batch.frame().len() as u64;
        let pushed = state.window.push(batch)?;
        if pushed == Pushed::Next {
            state.raw_bytes += raw_bytes as u64;
            state.coded_bytes += coded_bytes;
        }
        if let (Pushed::Next, Some(commits)) = (pushed, commits) {
            state.hot.push(commits, raw_bytes);
        }
        drop(state);
        self.wake();
        Ok(pushed)
    }

    /// The last revision here, none before there is a first.
    pub fn at(&self) -> Option<Position> {
        self.state.lock().window.at()
    }

    /// Says which home the log will be of, while nothing is held of any.
    pub(crate) fn name_lineage(&self, lineage: Lineage) {
        let mut state = self.state.lock();
        if state.window.at().is_none() {
            state.lineage = lineage;
        }
    }

    /// The home that its log is of.
    pub(crate) fn lineage(&self) -> Lineage {
        self.state.lock().lineage
    }

    /// Which filling of the window this is.
    pub(crate) fn filling(&self) -> Filling {
        self.state.lock().filling
    }

    /// The epoch of its log; the first while it is empty.
    pub(crate) fn epoch(&self) -> Epoch {
        self.at().map_or(Epoch::ZERO, |position| position.epoch)
    }

    /// What a resume can name as held: the newest group and how many of its batches.
    pub(crate) fn tail(&self) -> Option<(GroupId, u32)> {
        self.state.lock().window.tail()
    }

    pub(crate) fn held(&self) -> Held {
        let state = self.state.lock();
        Held {
            at: state.window.at(),
            first: state.window.first(),
            bytes: state.window.bytes(),
            raw_bytes: state.raw_bytes,
            coded_bytes: state.coded_bytes,
        }
    }

    /// A place from which `from` and all after it can be read and decoded.
    ///
    /// # Errors
    /// [`SeekError`], if that is not here.
    pub(crate) fn seek(
        &self,
        from: Revision,
        have: Option<(GroupId, u32)>,
    ) -> Result<Place, SeekError> {
        let state = self.state.lock();
        Ok(Place {
            filling: state.filling,
            cursor: state.window.seek(from, have)?,
        })
    }

    /// The place right behind what the reader has, if that is known here.
    pub(crate) fn resume(&self, from: Revision, have: Option<(GroupId, u32)>) -> Option<Place> {
        let state = self.state.lock();
        let cursor = state.window.seek(from, Some(have?)).ok()?;
        let without = state.window.seek(from, None).ok()?;
        (cursor != without).then_some(Place {
            filling: state.filling,
            cursor,
        })
    }

    /// A place at the end, for a reader that has all there is but no context to go on decoding with,
    /// and the wish that the next batch begins a group; none if there is more than the reader has.
    /// Whoever codes the log here looks for the wish with [`Relay::take_join`].
    pub(crate) fn join(&self, due: Revision) -> Option<Place> {
        let mut state = self.state.lock();
        let at_end = state.window.at()?.revision.next() == due;
        let tail = state.window.tail().filter(|_| at_end)?;
        let cursor = state.window.seek(due, Some(tail)).ok()?;
        state.join_wanted = true;
        Some(Place {
            filling: state.filling,
            cursor,
        })
    }

    /// Whether somebody wishes that the next batch begins a group; the wish is fulfilled by that.
    pub(crate) fn take_join(&self) -> bool {
        std::mem::take(&mut self.state.lock().join_wanted)
    }

    /// Reads on from a place: about `bytes_max` of batches into `into`, one at least if there is any.
    ///
    /// # Errors
    /// [`Gone`] if the place is not in the window any more.
    pub(crate) fn read(
        &self,
        place: &mut Place,
        bytes_max: usize,
        into: &mut Vec<Batch>,
    ) -> Result<(), Gone> {
        let state = self.state.lock();
        if place.filling != state.filling {
            return Err(Gone::Refilled);
        }
        let read = state.window.read(&mut place.cursor, bytes_max, into);
        read.map_err(|_| Gone::Evicted)
    }

    /// The commits of the batch of `filling` that begins at `first`, if they were at hand and still
    /// are.
    pub(crate) fn hot(&self, filling: Filling, first: Revision) -> Option<Arc<[Commit]>> {
        let state = self.state.lock();
        (state.filling == filling).then(|| state.hot.get(first))?
    }

    /// Wakes with each change; what changed is to be looked up.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn wake(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

impl State {
    /// What was there is of no use to what comes.
    fn empty(&mut self) {
        self.filling.0 += 1;
        self.hot.clear();
    }
}

#[cfg(test)]
mod tests;
