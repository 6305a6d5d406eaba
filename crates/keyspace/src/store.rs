//! The keyspace at every revision of its window.
//!
//! Owns the index, the window of changes and what may be forgotten. Invariant: whole revisions are
//! applied in order, each once; every revision from [`Keyspace::floor`] to [`Keyspace::revision`]
//! can be read, and a read sees exactly the commits up to its revision. Forgetting follows the
//! changes themselves: what the change at `r` replaced is dropped once no read below `r` is
//! possible, so the work is that of the changes and nothing is searched for. It knows no lock and
//! no time.

mod block;
mod entry;
mod history;
mod index;
mod node;
pub(crate) mod order;
pub(crate) mod scan;

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::{Change, Commit, Event, KeySpan, RangeAnswer, RangeQuery, ReadError, Record, Revision};
use history::History;
use index::Index;
use scan::{Budget, RangeScan};

pub use history::WindowLimits;

/// Events of old changes that one [`Keyspace::apply`] reclaims at least, and how many for each
/// event that it applies: more than one, so that a backlog shrinks.
const RECLAIM_EVENTS_MIN: usize = 64;
const RECLAIM_EVENTS_PER_EVENT: usize = 2;

/// A multi-version copy of an etcd keyspace.
#[derive(Debug)]
pub struct Keyspace {
    index: Index,
    history: History,
    limits: WindowLimits,
    revision: Revision,
    /// The highest client compaction.
    compacted: Revision,
    /// What the changes up to here replaced has been dropped.
    reclaimed: Revision,
    /// Readers of old revisions; behind a lock of its own, so that a reader can pin.
    pins: Mutex<BTreeMap<Revision, usize>>,
}

/// A commit that does not follow the current revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision {arrived} arrived where {expected} follows; re-read the log from {expected}")]
pub struct ApplyError {
    /// The revision that follows the current one.
    pub expected: Revision,
    /// The revision of the commit.
    pub arrived: Revision,
}

impl Keyspace {
    /// An empty keyspace at revision 1, like a new etcd cluster.
    pub fn new(limits: WindowLimits) -> Self {
        Self::restore(limits, Revision::new(1), [])
    }

    /// A keyspace with these live records at `revision` and no history. Records in rising key order
    /// load fastest; of two with one key the later counts.
    pub fn restore(
        limits: WindowLimits,
        revision: Revision,
        records: impl IntoIterator<Item = Record>,
    ) -> Self {
        Self {
            index: Index::load(records),
            history: History::default(),
            limits,
            revision,
            compacted: Revision::ZERO,
            reclaimed: revision,
            pins: Mutex::default(),
        }
    }

    /// The newest revision applied.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The revision of the highest client compaction; zero if there was none.
    pub fn compacted(&self) -> Revision {
        self.compacted
    }

    /// The lowest revision that can be read.
    pub fn floor(&self) -> Revision {
        self.reclaimed.max(self.compacted)
    }

    /// The lowest revision whose change, and every later one, is available; the next revision if
    /// there is none.
    pub fn first_change(&self) -> Revision {
        self.history.front().map_or(self.revision.next(), |front| {
            front.revision.max(self.compacted)
        })
    }

    /// Live keys.
    pub fn len(&self) -> usize {
        self.index.live()
    }

    /// Whether no key is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of all versions and their index, about. Versions are shared with the history.
    pub fn bytes(&self) -> usize {
        self.index.bytes()
    }

    /// Memory of the history window, about, counting a record for each change it is in.
    pub fn history_bytes(&self) -> usize {
        self.history.bytes()
    }

    /// Applies the commit that follows the current revision.
    ///
    /// # Errors
    /// If it is not the next revision; nothing has changed then.
    pub fn apply(&mut self, commit: Commit) -> Result<Arc<Change>, ApplyError> {
        let Commit { revision, records } = commit;
        let expected = self.revision.next();
        if revision != expected {
            return Err(ApplyError {
                expected,
                arrived: revision,
            });
        }
        let events = records.into_iter().map(|record| {
            let previous = self.index.put(record.clone(), revision);
            Event { record, previous }
        });
        let change = Arc::new(Change {
            revision,
            events: events.collect(),
        });
        self.revision = revision;
        self.history.push(Arc::clone(&change));
        self.reclaim(
            RECLAIM_EVENTS_MIN.max(change.events.len().saturating_mul(RECLAIM_EVENTS_PER_EVENT)),
        );
        Ok(change)
    }

    /// Makes everything below `at` unreadable and drops it. Does nothing if a compaction at least
    /// as high was applied; a revision above the current one counts as the current one.
    pub fn compact(&mut self, at: Revision) {
        self.mark_compacted(at);
        self.reclaim(usize::MAX);
    }

    /// The first half of [`Keyspace::compact`]: what is below `at` is unreadable at once, and
    /// dropped by calls of [`Keyspace::reclaim`], of which each apply makes one.
    pub(crate) fn mark_compacted(&mut self, at: Revision) {
        let at = at.min(self.revision);
        if at > self.compacted {
            self.compacted = at;
            self.history.settle(at);
        }
    }

    /// Drops what no reader can want, at most about `budget` events' worth; true if more is left
    /// that no pin protects.
    pub(crate) fn reclaim(&mut self, budget: usize) -> bool {
        let mut left = budget;
        let pinned = self
            .pins
            .get_mut()
            .keys()
            .next()
            .copied()
            .unwrap_or(self.revision);
        while let Some(front) = self.history.front() {
            let over = self.history.exceeds(&self.limits);
            if front.revision <= self.reclaimed {
                if !over && front.revision >= self.compacted {
                    return false;
                }
                self.history.pop();
                continue;
            }
            if (!over && front.revision > self.compacted) || front.revision > pinned {
                return false;
            }
            if left == 0 {
                return true;
            }
            let front = Arc::clone(front);
            for event in &front.events {
                self.index.reclaim(event.record.key(), front.revision);
            }
            self.reclaimed = front.revision;
            left = left.saturating_sub(front.events.len().max(1));
        }
        false
    }

    /// Reads a range; records reach the sink in the order of the answer.
    ///
    /// # Errors
    /// If the query's revision cannot be read.
    pub fn range(
        &self,
        query: &RangeQuery<'_>,
        sink: &mut dyn FnMut(&Record),
    ) -> Result<RangeAnswer, ReadError> {
        let mut scan = RangeScan::begin(self, *query)?;
        let mut budget = Budget::UNLIMITED;
        while !scan.advance(self, &mut budget, sink) {
            budget = Budget::UNLIMITED;
        }
        let (answer, sorted) = scan.finish();
        sorted.iter().for_each(sink);
        Ok(answer)
    }

    /// The live record of a key.
    pub fn get(&self, key: &[u8]) -> Option<&Record> {
        self.index.get(key)?.live()
    }

    /// Whether all live records of a span fulfil a condition; none if there are none.
    pub(crate) fn all(
        &self,
        span: &KeySpan<'_>,
        condition: impl Fn(&Record) -> bool,
    ) -> Option<bool> {
        let mut scan = RangeScan::begin(self, RangeQuery::of(*span)).ok()?;
        let (mut any, mut holds) = (false, true);
        loop {
            let mut budget = Budget {
                touches: 512,
                bytes: usize::MAX,
            };
            let done = scan.advance(self, &mut budget, &mut |record| {
                any = true;
                holds = holds && condition(record);
            });
            if done || !holds {
                return any.then_some(holds);
            }
        }
    }

    /// The changes from `from`, or from the first available one, to the newest.
    pub fn changes(&self, from: Revision) -> impl Iterator<Item = &Arc<Change>> {
        self.history.from(from.max(self.first_change()))
    }

    /// The change at `revision`, if it is available.
    pub fn change(&self, revision: Revision) -> Option<&Arc<Change>> {
        self.history
            .get(revision)
            .filter(|_| revision >= self.compacted)
    }

    /// Keeps `revision` readable, if it is, until it is unpinned as often. A compaction still
    /// makes it unreadable to new readers.
    pub fn pin(&self, revision: Revision) {
        *self.pins.lock().entry(revision).or_insert(0) += 1;
    }

    /// Takes back one [`Keyspace::pin`].
    pub fn unpin(&self, revision: Revision) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&revision) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&revision);
            }
        }
    }

    /// # Errors
    /// If `revision` cannot be read, the way etcd orders the reasons.
    pub(crate) fn check_readable(&self, revision: Revision) -> Result<(), ReadError> {
        if revision > self.revision {
            Err(ReadError::Future {
                current: self.revision,
            })
        } else if revision < self.compacted {
            Err(ReadError::Compacted {
                compacted: self.compacted,
            })
        } else if revision < self.floor() {
            Err(ReadError::Forgotten {
                floor: self.floor(),
            })
        } else {
            Ok(())
        }
    }

    fn index(&self) -> &Index {
        &self.index
    }
}

#[cfg(test)]
mod tests;
