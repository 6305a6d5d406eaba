//! The keyspace behind its lock: one writer, many readers.
//!
//! Invariant: no lock is held longer than one bounded chunk of work; a scan that is longer reads
//! in chunks at one pinned revision. A closure that runs under the lock must not come back to the
//! keyspace: a second lock behind a waiting writer never comes. It knows no async runtime: who
//! loops over the chunks yields between them.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use parking_lot::{RwLock, RwLockWriteGuard};

use crate::{
    ApplyError, Change, Commit, Keyspace, RangeAnswer, RangeQuery, ReadError, Record, Revision,
    store::scan::{Budget, RangeScan},
};

/// Keys that one chunk of a scan looks at: about 50 microseconds if every one is a cache miss.
/// Tests use small chunks.
const CHUNK_KEYS: usize = if cfg!(test) { 3 } else { 512 };

/// Encoded bytes that one chunk of a scan gives out: about 100 microseconds of copying.
const CHUNK_BYTES: usize = 1 << 20;

/// Events that one hold of the write lock reclaims in a compaction: about 250 microseconds.
const COMPACT_EVENTS: usize = if cfg!(test) { 3 } else { 512 };

/// A [`Keyspace`] shared by its writer and its readers.
#[derive(Debug)]
pub struct SharedKeyspace {
    keyspace: RwLock<Keyspace>,
    /// The keyspace's revision, set before the write lock is given back.
    revision: AtomicI64,
}

impl SharedKeyspace {
    /// Shares a keyspace.
    pub fn new(keyspace: Keyspace) -> Self {
        let revision = AtomicI64::new(keyspace.revision().get());
        Self {
            keyspace: RwLock::new(keyspace),
            revision,
        }
    }

    /// Looks at the keyspace; `f` must be quick, the writer waits for it.
    pub fn read<R>(&self, f: impl FnOnce(&Keyspace) -> R) -> R {
        f(&self.keyspace.read())
    }

    /// Changes the keyspace by a transaction or another call that a writer alone may make; `f`
    /// must be quick, all readers wait for it.
    pub fn write<R>(&self, f: impl FnOnce(&mut Keyspace) -> R) -> R {
        let mut keyspace = self.keyspace.write();
        let result = f(&mut keyspace);
        self.publish(&keyspace);
        result
    }

    /// Applies the commit that follows the current revision.
    ///
    /// # Errors
    /// If it is not the next revision; nothing has changed then.
    pub fn apply(&self, commit: Commit) -> Result<Arc<Change>, ApplyError> {
        self.write(|keyspace| keyspace.apply(commit))
    }

    /// Makes everything below `at` unreadable at once and drops it, letting readers in between.
    pub fn compact(&self, at: Revision) {
        self.write(|keyspace| keyspace.mark_compacted(at));
        loop {
            let mut keyspace = self.keyspace.write();
            let more = keyspace.reclaim(COMPACT_EVENTS);
            RwLockWriteGuard::unlock_fair(keyspace);
            if !more {
                return;
            }
        }
    }

    /// The newest revision applied; takes no lock. A read that follows sees at least this one.
    pub fn revision(&self) -> Revision {
        Revision::new(self.revision.load(Ordering::Acquire))
    }

    /// Reads the live record of a key, and returns the revision it was read at. `sink` runs under
    /// the read lock.
    pub fn get_into(&self, key: &[u8], sink: impl FnOnce(Option<&Record>)) -> Revision {
        let keyspace = self.keyspace.read();
        sink(keyspace.get(key));
        keyspace.revision()
    }

    /// Begins a range read at one revision, which stays readable for it until it is dropped.
    ///
    /// # Errors
    /// If the query's revision cannot be read.
    pub fn scan<'q>(self: &Arc<Self>, query: RangeQuery<'q>) -> Result<Scan<'q>, ReadError> {
        let keyspace = self.keyspace.read();
        let scan = RangeScan::begin(&keyspace, query)?;
        let pinned = scan.at();
        keyspace.pin(pinned);
        Ok(Scan {
            shared: Arc::clone(self),
            pinned,
            stage: Stage::Walking(scan),
        })
    }

    fn publish(&self, keyspace: &Keyspace) {
        self.revision
            .store(keyspace.revision().get(), Ordering::Release);
    }
}

/// A range read under way; see [`SharedKeyspace::scan`].
#[derive(Debug)]
pub struct Scan<'q> {
    shared: Arc<SharedKeyspace>,
    pinned: Revision,
    stage: Stage<'q>,
}

#[derive(Debug)]
enum Stage<'q> {
    Walking(RangeScan<'q>),
    /// All keys are done; sorted records are given out, without the lock.
    Emitting(RangeAnswer, std::vec::IntoIter<Record>),
}

/// Where a [`Scan`] stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// All records have reached the sink.
    Done(RangeAnswer),
}

impl Scan<'_> {
    /// The revision it reads at.
    pub fn revision(&self) -> Revision {
        self.pinned
    }

    /// Does one bounded chunk of work. Records reach the sink in the order of the answer; it runs
    /// under the read lock. After [`Step::Done`], says so again.
    pub fn step(&mut self, sink: &mut dyn FnMut(&Record)) -> Step {
        let mut budget = Budget {
            touches: CHUNK_KEYS,
            bytes: CHUNK_BYTES,
        };
        if let Stage::Walking(scan) = &mut self.stage {
            let done = scan.advance(&self.shared.keyspace.read(), &mut budget, sink);
            if !done {
                return Step::More;
            }
            let (answer, sorted) = scan.finish();
            self.stage = Stage::Emitting(answer, sorted.into_iter());
        }
        match &mut self.stage {
            Stage::Walking(_) => Step::More,
            Stage::Emitting(answer, records) => emit(*answer, records, budget, sink),
        }
    }
}

fn emit(
    answer: RangeAnswer,
    records: &mut std::vec::IntoIter<Record>,
    mut budget: Budget,
    sink: &mut dyn FnMut(&Record),
) -> Step {
    while !budget.is_spent() {
        let Some(record) = records.next() else {
            return Step::Done(answer);
        };
        budget.touches -= 1;
        budget.bytes = budget.bytes.saturating_sub(record.encoded().len());
        sink(&record);
    }
    if records.len() == 0 {
        Step::Done(answer)
    } else {
        Step::More
    }
}

impl Drop for Scan<'_> {
    fn drop(&mut self) {
        self.shared.keyspace.read().unpin(self.pinned);
    }
}

#[cfg(test)]
mod tests;
