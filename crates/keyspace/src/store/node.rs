//! Nodes of the index: runs of entries, and runs of such runs, with what is known of a whole run.
//!
//! Invariant: a node's `low` is at most its first key, and that of its first node; its `live` is
//! the number of its keys that are not deleted; its `newest` is at least every revision in it. It
//! does not know its neighbours' keys.

use super::{
    block::{Block, Keyed},
    entry::Entry,
};
use crate::Revision;

/// Items of a leaf or a branch at most: 64 heads are 512 bytes, of which a search touches about
/// three cache lines, and an insertion moves 2 KiB of heads and entries at most. From 32 to 128 the
/// measured times are alike (decision 0001). Tests use small nodes, so that few keys make many.
pub(super) const NODE_ITEMS_MAX: usize = if cfg!(test) { 8 } else { 64 };

/// Nodes that sink below this are merged into a neighbour, if both then fill at most
/// [`NODE_ITEMS_MERGED_MAX`], which leaves room before the next split.
const NODE_ITEMS_MIN: usize = NODE_ITEMS_MAX / 4;
const NODE_ITEMS_MERGED_MAX: usize = NODE_ITEMS_MAX * 3 / 4;

/// How full bulk loading makes a node, and how much stays behind when it overflows at its end
/// (keys that rise would otherwise leave every node half full).
pub(super) const NODE_ITEMS_LOADED: usize = NODE_ITEMS_MAX * 7 / 8;

/// A run of leaves.
pub(super) type Branch = Node<Leaf>;
/// A run of entries.
pub(super) type Leaf = Node<Entry>;

/// A run of items in key order, with what is known of all of them.
#[derive(Debug)]
pub(super) struct Node<T> {
    pub(super) low: Box<[u8]>,
    pub(super) live: usize,
    pub(super) newest: Revision,
    pub(super) items: Block<T>,
}

impl<T> Keyed for Node<T> {
    fn key(&self) -> &[u8] {
        &self.low
    }
}

/// What a node has to know of its items.
pub(super) trait Weigh: Keyed {
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

impl<T: Weigh> Node<T> {
    pub(super) fn from_block(items: Block<T>) -> Self {
        let all = items.items();
        Self {
            low: all
                .first()
                .map(|item| item.key().into())
                .unwrap_or_default(),
            live: all.iter().map(Weigh::live).sum(),
            newest: all.iter().map(Weigh::newest).max().unwrap_or_default(),
            items,
        }
    }

    /// Halves the node if it is full; `at` is where the last item went in.
    pub(super) fn split_if_full(&mut self, at: usize) -> Option<Self> {
        let len = self.items().len();
        if len < NODE_ITEMS_MAX {
            return None;
        }
        let keep = if at + 1 == len {
            NODE_ITEMS_LOADED
        } else {
            len / 2
        };
        let right = Self::from_block(self.items.split_off(keep));
        self.live -= right.live;
        Some(right)
    }
}

/// Merges the node at `at` with a neighbour if it has become small.
pub(super) fn merge_small<T: Weigh>(nodes: &mut Block<Node<T>>, at: usize) {
    let all = nodes.items();
    let len = all[at].items().len();
    let merged = |left: &usize| {
        all.get(*left..*left + 2)
            .map(|pair| pair[0].items().len() + pair[1].items().len())
    };
    let left = [Some(at), at.checked_sub(1)]
        .into_iter()
        .flatten()
        .find(|left| match merged(left) {
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
