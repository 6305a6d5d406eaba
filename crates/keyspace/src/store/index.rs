//! The ordered index: all entries in key order, in leaves, leaves in branches, branches in a root.
//!
//! Invariant: every level is sorted, and a node's `low` is above every key of the node before it.
//! What a node knows of its keys lets a range be counted by nodes. It does not know which versions
//! are still wanted.

mod load;

use super::{
    block::{Block, Keyed},
    entry::Entry,
    node::{Branch, Leaf, Weigh, merge_small},
};
use crate::{KeySpan, Record, Revision, SpanEnd};
use load::Loader;

/// What one version takes beside its encoded bytes: the two counters of its `Arc`, and what an
/// allocator rounds up to, 16 bytes on average.
const VERSION_BYTES: usize = 32;

/// What one key takes beside its versions: entry (24) and head (8) at four fifths of fill.
const ENTRY_BYTES: usize = 40;

/// All entries.
#[derive(Debug)]
pub(super) struct Index {
    branches: Block<Branch>,
    live: usize,
    bytes: usize,
}

/// A place between entries. Only meaningful until the index changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) branch: usize,
    pub(super) leaf: usize,
    pub(super) entry: usize,
}

impl Index {
    /// Loads records; those in rising key order cost no search.
    pub(super) fn load(records: impl IntoIterator<Item = Record>) -> Self {
        let mut loader = Loader::default();
        let mut stray = Vec::new();
        for record in records {
            if let Err(record) = loader.push(record) {
                stray.push(record);
            }
        }
        let mut index = loader.finish();
        for record in stray {
            let revision = record.mod_revision();
            index.put(record, revision);
        }
        index
    }

    /// Keys that are not deleted.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// Memory of entries and versions, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn branches(&self) -> &[Branch] {
        self.branches.items()
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        let branch = self.branches.items().get(self.branches.covering(key))?;
        let leaf = branch.items().get(branch.items.covering(key))?;
        leaf.items.get(key)
    }

    /// The place before the first entry at or above `key`.
    pub(super) fn seek(&self, key: &[u8]) -> Position {
        let branch = self.branches.covering(key);
        let Some(node) = self.branches().get(branch) else {
            return self.end();
        };
        let leaf = node.items.covering(key);
        let entry = node.items()[leaf].items.lower_bound(key);
        Position {
            branch,
            leaf,
            entry,
        }
    }

    /// The place after the entry of `key`, or where it would be.
    pub(super) fn seek_after(&self, key: &[u8]) -> Position {
        let mut at = self.seek(key);
        let leaf = self
            .branches()
            .get(at.branch)
            .map(|branch| &branch.items()[at.leaf]);
        let entry = leaf.and_then(|leaf| leaf.items().get(at.entry));
        at.entry += usize::from(entry.is_some_and(|entry| entry.key() == key));
        at
    }

    /// The place where a span of many keys ends.
    pub(super) fn seek_end(&self, span: &KeySpan<'_>) -> Position {
        match span.end {
            SpanEnd::Single => self.seek_after(span.start),
            SpanEnd::Before(end) => self.seek(end),
            SpanEnd::Unbounded => self.end(),
        }
    }

    fn end(&self) -> Position {
        Position {
            branch: self.branches().len(),
            leaf: 0,
            entry: 0,
        }
    }

    /// Takes the version that `revision` wrote; see [`Entry::put`] for what comes back.
    pub(super) fn put(&mut self, record: Record, revision: Revision) -> Option<Record> {
        self.bytes += record.encoded().len() + VERSION_BYTES;
        match self.branches().first() {
            Some(first) if *first.low <= *record.key() => {}
            Some(_) => self.branches.lower_first(|first| first.widen(record.key())),
            None => self.branches.insert(0, Branch::below(record.key())),
        }
        let at = self.branches.covering(record.key());
        let branch = self.branches.item_mut(at);
        let before = branch.live;
        let put = branch.put(record, revision);
        self.live = self.live + branch.live - before;
        if let Some(right) = branch.split_if_full(put.leaf) {
            self.branches.insert(at + 1, right);
        }
        self.bytes += if put.created { ENTRY_BYTES } else { 0 };
        self.bytes -= put.overwritten;
        put.previous
    }

    /// Drops what no read of `key` at `floor` or later sees.
    pub(super) fn reclaim(&mut self, key: &[u8], floor: Revision) {
        let at = self.branches.covering(key);
        if self.branches().get(at).is_none() {
            return;
        }
        let branch = self.branches.item_mut(at);
        let at_leaf = branch.items.covering(key);
        let leaf = branch.items.item_mut(at_leaf);
        let Ok(at_entry) = leaf.items.find(key) else {
            return;
        };
        let reclaimed = leaf.items.item_mut(at_entry).reclaim(floor);
        self.bytes -= reclaimed.bytes + reclaimed.versions * VERSION_BYTES;
        if reclaimed.empty {
            let gone = leaf.items.remove(at_entry);
            self.bytes -= gone.latest().encoded().len() + VERSION_BYTES + ENTRY_BYTES;
            merge_small(&mut branch.items, at_leaf);
            merge_small(&mut self.branches, at);
        }
    }
}

/// What putting a version into a branch did.
struct Put {
    previous: Option<Record>,
    /// The leaf it went to.
    leaf: usize,
    created: bool,
    /// Bytes of a version of the same revision that it replaced.
    overwritten: usize,
}

impl Branch {
    /// A branch of one empty leaf.
    fn below(low: &[u8]) -> Self {
        let leaf = Leaf {
            low: low.into(),
            live: 0,
            newest: Revision::ZERO,
            items: Block::new(),
        };
        Self::from_block(Block::from_sorted(vec![leaf]))
    }

    fn put(&mut self, record: Record, revision: Revision) -> Put {
        let at = self.items.covering(record.key());
        let leaf = self.items.item_mut(at);
        let before = leaf.live;
        let (mut put, entry) = leaf.put(record, revision);
        put.leaf = at;
        self.live = self.live + leaf.live - before;
        self.newest = self.newest.max(revision);
        if let Some(right) = leaf.split_if_full(entry) {
            put.leaf = at + 1;
            self.items.insert(at + 1, right);
        }
        put
    }
}

impl Leaf {
    /// Also returns the place of the entry.
    fn put(&mut self, record: Record, revision: Revision) -> (Put, usize) {
        let lives = usize::from(!record.is_tombstone());
        let mut put = Put {
            previous: None,
            leaf: 0,
            created: false,
            overwritten: 0,
        };
        self.newest = self.newest.max(revision);
        match self.items.find(record.key()) {
            Ok(at) => {
                let entry = self.items.item_mut(at);
                self.live -= usize::from(entry.live().is_some());
                if entry.latest().mod_revision() >= revision {
                    put.overwritten = entry.latest().encoded().len() + VERSION_BYTES;
                }
                put.previous = entry.put(record, revision);
                self.live += lives;
                (put, at)
            }
            Err(at) => {
                self.items.insert(at, Entry::new(record));
                self.live += lives;
                put.created = true;
                (put, at)
            }
        }
    }
}

#[cfg(test)]
mod tests;
