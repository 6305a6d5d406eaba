//! The ordered index: all entries in key order, in leaves, leaves in branches, branches in a root.
//!
//! Invariant: every level is sorted; a node's `low` is at most its first key, above every key of
//! the node before it, and that of its first node; its `live` is the number of its keys that are
//! not deleted; its `newest` is at least every revision in it. So a range is counted by nodes, not
//! by keys. It does not know which versions are still wanted.

use super::{
    block::{Block, Keyed},
    entry::Entry,
};
use crate::{KeySpan, Record, Revision, SpanEnd};

/// Items of a leaf or a branch at most: 128 heads are 1 KiB, of which a search touches about four
/// cache lines, and an insertion moves 1 KiB of heads and 3 KiB of entries at most.
/// Tests use small nodes, so that few keys make many.
const NODE_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 128 };

/// Nodes that sink below this are merged into a neighbour, if both then fill at most
/// [`NODE_ITEMS_MERGED_MAX`], which leaves room before the next split.
const NODE_ITEMS_MIN: usize = NODE_ITEMS_MAX / 4;
const NODE_ITEMS_MERGED_MAX: usize = NODE_ITEMS_MAX * 3 / 4;

/// How full bulk loading makes a node, and how much stays behind when it overflows at its end
/// (keys that rise would otherwise leave every node half full).
const NODE_ITEMS_LOADED: usize = NODE_ITEMS_MAX * 7 / 8;

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

/// A run of leaves.
pub(super) type Branch = Node<Leaf>;
/// A run of entries.
pub(super) type Leaf = Node<Entry>;

/// A run of items in key order, with what is known of all of them.
#[derive(Debug)]
pub(super) struct Node<T> {
    low: Box<[u8]>,
    live: usize,
    newest: Revision,
    items: Block<T>,
}

/// A place between entries. Only meaningful until the index changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) branch: usize,
    pub(super) leaf: usize,
    pub(super) entry: usize,
}

impl<T> Keyed for Node<T> {
    fn key(&self) -> &[u8] {
        &self.low
    }
}

/// What a node has to know of its items.
trait Weigh: Keyed {
    fn live(&self) -> usize;
    fn newest(&self) -> Revision;
    /// Takes keys from `low` on, though its own may begin later.
    fn widen(&mut self, low: &[u8]);
}

impl Weigh for Entry {
    fn live(&self) -> usize {
        usize::from(Entry::live(self).is_some())
    }

    fn newest(&self) -> Revision {
        self.latest().mod_revision()
    }

    fn widen(&mut self, _low: &[u8]) {}
}

impl<T: Weigh> Weigh for Node<T> {
    fn live(&self) -> usize {
        self.live
    }

    fn newest(&self) -> Revision {
        self.newest
    }

    fn widen(&mut self, low: &[u8]) {
        self.low = low.into();
        self.items.lower_first(|first| first.widen(low));
    }
}

impl<T> Node<T> {
    /// Keys in it that are not deleted.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// No version in it is newer than this.
    pub(super) fn newest(&self) -> Revision {
        self.newest
    }
}

impl<T: Keyed> Node<T> {
    pub(super) fn items(&self) -> &[T] {
        self.items.items()
    }
}

#[allow(private_bounds)]
impl<T: Weigh> Node<T> {
    fn from_block(items: Block<T>) -> Self {
        let all = items.items();
        Self {
            low: all.first().map(|item| item.key().into()).unwrap_or_default(),
            live: all.iter().map(Weigh::live).sum(),
            newest: all.iter().map(Weigh::newest).max().unwrap_or_default(),
            items,
        }
    }

    /// Halves the node if it is full; `at` is where the last item went in.
    fn split_if_full(&mut self, at: usize) -> Option<Self> {
        let len = self.items().len();
        if len < NODE_ITEMS_MAX {
            return None;
        }
        let keep = if at + 1 == len { NODE_ITEMS_LOADED } else { len / 2 };
        let right = Self::from_block(self.items.split_off(keep));
        self.live -= right.live;
        Some(right)
    }
}

#[allow(private_bounds)]
impl<T: Weigh> Node<Node<T>> {
    fn after_shrink(&mut self, at: usize) {
        merge_small(&mut self.items, at);
    }
}

/// Merges the node at `at` with a neighbour if it has become small.
fn merge_small<T: Weigh>(nodes: &mut Block<Node<T>>, at: usize) {
    let all = nodes.items();
    let len = all[at].items().len();
    let merged = |left: &usize| all.get(*left..*left + 2).map(|pair| pair[0].items().len() + pair[1].items().len());
    let left = [Some(at), at.checked_sub(1)].into_iter().flatten().find(|left| match merged(left) {
        Some(merged) => len == 0 || (len < NODE_ITEMS_MIN && merged <= NODE_ITEMS_MERGED_MAX),
        None => false,
    });
    if let Some(left) = left {
        let right = nodes.remove(left + 1);
        let node = nodes.item_mut(left);
        node.live += right.live;
        node.newest = node.newest.max(right.newest);
        node.items.append(right.items.into_items());
        let low = node.low.clone();
        node.items.lower_first(|first| first.widen(&low));
    } else if len == 0 {
        nodes.remove(at);
    }
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
        let Some(node) = self.branches().get(branch) else { return self.end() };
        let leaf = node.items.covering(key);
        let entry = node.items()[leaf].items.lower_bound(key);
        Position { branch, leaf, entry }
    }

    /// The place after the entry of `key`, or where it would be.
    pub(super) fn seek_after(&self, key: &[u8]) -> Position {
        let mut at = self.seek(key);
        let leaf = self.branches().get(at.branch).map(|branch| &branch.items()[at.leaf]);
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
        Position { branch: self.branches().len(), leaf: 0, entry: 0 }
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
        let Ok(at_entry) = leaf.items.find(key) else { return };
        let reclaimed = leaf.items.item_mut(at_entry).reclaim(floor);
        self.bytes -= reclaimed.bytes + reclaimed.versions * VERSION_BYTES;
        if reclaimed.empty {
            let gone = leaf.items.remove(at_entry);
            self.bytes -= gone.latest().encoded().len() + VERSION_BYTES + ENTRY_BYTES;
            branch.after_shrink(at_leaf);
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
        let leaf = Leaf { low: low.into(), live: 0, newest: Revision::ZERO, items: Block::new() };
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
        let mut put = Put { previous: None, leaf: 0, created: false, overwritten: 0 };
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

/// Builds an index from the left.
#[derive(Default)]
struct Loader {
    entries: Vec<Entry>,
    leaves: Vec<Leaf>,
    branches: Vec<Branch>,
    bytes: usize,
}

impl Loader {
    /// Takes the next record, or gives it back if it is not above the one before.
    fn push(&mut self, record: Record) -> Result<(), Record> {
        let last = self.entries.last().or_else(|| self.leaves.last()?.items().last());
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
        self.leaves.push(Leaf::from_block(Block::from_sorted(entries)));
    }

    fn close_branch(&mut self) {
        let leaves = std::mem::take(&mut self.leaves);
        self.branches.push(Branch::from_block(Block::from_sorted(leaves)));
    }

    fn finish(mut self) -> Index {
        if !self.entries.is_empty() {
            self.close_leaf();
        }
        if !self.leaves.is_empty() {
            self.close_branch();
        }
        let live = self.branches.iter().map(Node::live).sum();
        Index { branches: Block::from_sorted(self.branches), live, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests;
