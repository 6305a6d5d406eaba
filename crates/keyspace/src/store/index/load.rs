//! Bulk loading: an index built from the left, a full node at a time.
//!
//! Invariant: keys rise. What does not is given back, to be put in one by one.

use super::{ENTRY_BYTES, Index, VERSION_BYTES};
use crate::{
    Record,
    store::{
        block::{Block, Keyed},
        entry::Entry,
        node::{Branch, Leaf, NODE_ITEMS_LOADED, NODE_ITEMS_MAX, Node},
    },
};

/// Builds an index from the left.
#[derive(Default)]
pub(super) struct Loader {
    entries: Vec<Entry>,
    leaves: Vec<Leaf>,
    branches: Vec<Branch>,
    bytes: usize,
}

impl Loader {
    /// Takes the next record, or gives it back if it is not above the one before.
    pub(super) fn push(&mut self, record: Record) -> Result<(), Record> {
        let last = self
            .entries
            .last()
            .or_else(|| self.leaves.last()?.items().last());
        let last = last.or_else(|| self.branches.last()?.items().last()?.items().last());
        if last.is_some_and(|last| last.key() >= record.key()) {
            return Err(record);
        }
        self.bytes += record.encoded().len() + VERSION_BYTES + ENTRY_BYTES;
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(NODE_ITEMS_MAX);
        }
        self.entries.push(Entry::new(record));
        if self.entries.len() == NODE_ITEMS_LOADED {
            self.close_leaf();
        }
        if self.leaves.len() == NODE_ITEMS_LOADED {
            self.close_branch();
        }
        Ok(())
    }

    fn close_leaf(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        self.leaves
            .push(Leaf::from_block(Block::from_sorted(entries)));
    }

    fn close_branch(&mut self) {
        let leaves = std::mem::take(&mut self.leaves);
        self.branches
            .push(Branch::from_block(Block::from_sorted(leaves)));
    }

    pub(super) fn finish(mut self) -> Index {
        if !self.entries.is_empty() {
            self.close_leaf();
        }
        if !self.leaves.is_empty() {
            self.close_branch();
        }
        let live = self.branches.iter().map(Node::live).sum();
        Index {
            branches: Block::from_sorted(self.branches),
            live,
            bytes: self.bytes,
        }
    }
}
