//! The newest commits as they came from the home, so that a hub's own replica need not decode what
//! the hub has just coded.
//!
//! Invariant: bounded in bytes; records are shared with the replica that takes them, so in the usual
//! case this holds little memory of its own. Losing an entry costs a decoding, nothing else.

use std::{collections::VecDeque, sync::Arc};

use meridian_keyspace::{Commit, Revision};

/// A replica that is further behind than this decodes: 16 MiB are a second of 16,000 revisions of
/// a kilobyte.
const HOT_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(super) struct Hot {
    entries: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    first: Revision,
    commits: Arc<[Commit]>,
    bytes: usize,
}

impl Hot {
    pub(super) fn push(&mut self, commits: Arc<[Commit]>, bytes: usize) {
        let Some(first) = commits.first().map(|commit| commit.revision) else {
            return;
        };
        self.bytes += bytes;
        self.entries.push_back(Entry {
            first,
            commits,
            bytes,
        });
        while self.bytes > HOT_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes;
        }
    }

    pub(super) fn get(&self, first: Revision) -> Option<Arc<[Commit]>> {
        let at = self
            .entries
            .binary_search_by_key(&first, |entry| entry.first)
            .ok()?;
        Some(Arc::clone(&self.entries[at].commits))
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}
