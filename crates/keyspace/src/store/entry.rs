//! The versions of one key that can still be read.
//!
//! Invariant: versions rise by revision, one for each revision; the newest stands apart, because
//! nearly all reads want it. A tombstone is a version until it is reclaimed.

use std::collections::VecDeque;

use super::block::Keyed;
use crate::{Record, Revision};

/// One key.
#[derive(Debug)]
pub(super) struct Entry {
    latest: Record,
    older: Option<Box<Older>>,
}

/// Versions that newer ones have replaced, in order. The oldest stands apart, so that the usual
/// one older version takes one allocation.
#[derive(Debug)]
struct Older {
    oldest: Record,
    rest: VecDeque<Record>,
}

impl Older {
    fn newest(&self) -> &Record {
        self.rest.back().unwrap_or(&self.oldest)
    }

    /// The newest version at or below `revision`.
    fn at(&self, revision: Revision) -> Option<&Record> {
        let newer_from = self
            .rest
            .partition_point(|record| record.mod_revision() <= revision);
        match newer_from.checked_sub(1) {
            Some(at) => self.rest.get(at),
            None => Some(&self.oldest).filter(|record| record.mod_revision() <= revision),
        }
    }
}

/// What reclaiming left of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reclaimed {
    /// Encoded bytes of the versions dropped.
    pub(super) bytes: usize,
    /// Versions dropped.
    pub(super) versions: usize,
    /// Whether nothing is left but a tombstone that nobody needs.
    pub(super) empty: bool,
}

impl Keyed for Entry {
    fn key(&self) -> &[u8] {
        self.latest.key()
    }
}

impl Entry {
    pub(super) fn new(record: Record) -> Self {
        Self {
            latest: record,
            older: None,
        }
    }

    /// The newest version; a tombstone if the key is deleted.
    pub(super) fn latest(&self) -> &Record {
        &self.latest
    }

    /// The newest version, if the key is not deleted.
    pub(super) fn live(&self) -> Option<&Record> {
        (!self.latest.is_tombstone()).then_some(&self.latest)
    }

    /// The version that a read at `revision` sees.
    pub(super) fn at(&self, revision: Revision) -> Option<&Record> {
        if self.latest.mod_revision() <= revision {
            return self.live();
        }
        self.older
            .as_ref()?
            .at(revision)
            .filter(|record| !record.is_tombstone())
    }

    /// Takes the version that `revision` wrote. A second one of the same revision replaces the
    /// first. Returns the live version that the revision began with, unless this one is a create.
    pub(super) fn put(&mut self, record: Record, revision: Revision) -> Option<Record> {
        if self.latest.mod_revision() < revision {
            let replaced = std::mem::replace(&mut self.latest, record);
            let previous = (!replaced.is_tombstone()).then(|| replaced.clone());
            match &mut self.older {
                Some(older) => older.rest.push_back(replaced),
                None => {
                    self.older = Some(Box::new(Older {
                        oldest: replaced,
                        rest: VecDeque::new(),
                    }))
                }
            }
            return previous;
        }
        self.latest = record;
        let creates = self.latest.fields().create_revision == revision;
        let began = self.older.as_ref().map(|older| older.newest());
        began
            .filter(|record| !creates && !record.is_tombstone())
            .cloned()
    }

    /// Drops what no read at `floor` or later sees.
    pub(super) fn reclaim(&mut self, floor: Revision) -> Reclaimed {
        let mut reclaimed = Reclaimed {
            bytes: 0,
            versions: 0,
            empty: false,
        };
        while self.oldest_is_done(floor) {
            let dropped = self.drop_oldest();
            reclaimed.bytes += dropped.map_or(0, |record| record.encoded().len());
            reclaimed.versions += 1;
        }
        reclaimed.empty = self.older.is_none()
            && self.latest.is_tombstone()
            && self.latest.mod_revision() <= floor;
        reclaimed
    }
    /// Whether the oldest of several versions is unseen at `floor`: replaced by then, or a
    /// tombstone.
    fn oldest_is_done(&self, floor: Revision) -> bool {
        let Some(older) = &self.older else {
            return false;
        };
        let next = older.rest.front().unwrap_or(&self.latest);
        next.mod_revision() <= floor
            || (older.oldest.is_tombstone() && older.oldest.mod_revision() <= floor)
    }

    fn drop_oldest(&mut self) -> Option<Record> {
        let older = self.older.as_mut()?;
        match older.rest.pop_front() {
            Some(next) => Some(std::mem::replace(&mut older.oldest, next)),
            None => self.older.take().map(|older| older.oldest),
        }
    }
}
