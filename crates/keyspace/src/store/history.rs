//! The window of applied changes, oldest first.
//!
//! Invariant: revisions are contiguous. It knows bytes and numbers, not why a change is dropped.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::{Change, Event, Revision};

/// How much history is kept behind the current revision. The newer bound of the two holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowLimits {
    /// Bytes of changes at most, replaced records included.
    pub bytes: usize,
    /// Changes at most.
    pub revisions: usize,
}

impl WindowLimits {
    /// All history since the last client compaction, as etcd keeps it.
    pub const UNLIMITED: Self = Self {
        bytes: usize::MAX,
        revisions: usize::MAX,
    };
}

/// What one change takes beside its records' bytes: its `Arc`, and per event two record handles.
const CHANGE_BYTES: usize = 48;
const EVENT_BYTES: usize = 32;

#[derive(Debug, Default)]
pub(super) struct History {
    changes: VecDeque<Arc<Change>>,
    bytes: usize,
}

impl History {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn front(&self) -> Option<&Arc<Change>> {
        self.changes.front()
    }

    pub(super) fn exceeds(&self, limits: &WindowLimits) -> bool {
        let WindowLimits { bytes, revisions } = *limits;
        self.bytes > bytes || self.changes.len() > revisions
    }

    pub(super) fn push(&mut self, change: Arc<Change>) {
        self.bytes += weight(&change);
        self.changes.push_back(change);
    }

    pub(super) fn pop(&mut self) {
        if let Some(change) = self.changes.pop_front() {
            self.bytes -= weight(&change);
        }
    }

    pub(super) fn get(&self, revision: Revision) -> Option<&Arc<Change>> {
        self.changes.get(self.place(revision)?)
    }

    /// The changes from `from` on.
    pub(super) fn from(&self, from: Revision) -> impl Iterator<Item = &Arc<Change>> {
        let start = self.front().map_or(0, |front| {
            let skipped = from.get().saturating_sub(front.revision.get()).max(0);
            usize::try_from(skipped)
                .unwrap_or(usize::MAX)
                .min(self.changes.len())
        });
        self.changes.range(start..)
    }

    /// Leaves of the change at a compacted `revision` what etcd keeps there: the last event of each
    /// key, without the record that it replaced.
    pub(super) fn settle(&mut self, revision: Revision) {
        let Some(at) = self.place(revision) else {
            return;
        };
        let Some(change) = self.changes.get_mut(at) else {
            return;
        };
        let mut later = HashSet::new();
        let last = change.events.iter().rev();
        let last = last.filter(|event| later.insert(event.record.key()));
        let mut events: Vec<Event> = last
            .map(|event| Event {
                record: event.record.clone(),
                previous: None,
            })
            .collect();
        events.reverse();
        let settled = Arc::new(Change {
            revision,
            events: events.into(),
        });
        self.bytes -= weight(change);
        self.bytes += weight(&settled);
        *change = settled;
    }

    fn place(&self, revision: Revision) -> Option<usize> {
        let first = self.front()?.revision;
        usize::try_from(revision.get().checked_sub(first.get())?).ok()
    }
}

fn weight(change: &Change) -> usize {
    change.bytes() + CHANGE_BYTES + change.events.len() * EVENT_BYTES
}
