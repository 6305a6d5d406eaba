//! Which watchers a key concerns.
//!
//! Owns [`WatchIndex`]: single keys in a hash map, ranges in an interval tree, so that finding the
//! watchers of one event costs O(log ranges + hits), however many watch other keys. Invariant: an
//! id is reported once for each range that it was inserted with and that contains the key. It
//! knows no revision, no filter and no stream.

mod ids;
mod tree;

use std::{collections::HashMap, hash::Hash};

use self::{ids::Ids, tree::IntervalTree};
use crate::{KeyRange, SpanEnd};

/// Watchers by the keys that they watch.
#[derive(Clone, Debug)]
pub struct WatchIndex<Id> {
    keys: HashMap<Box<[u8]>, Ids<Id>>,
    ranges: IntervalTree<Id>,
    len: usize,
}

impl<Id> Default for WatchIndex<Id> {
    fn default() -> Self {
        Self {
            keys: HashMap::new(),
            ranges: IntervalTree::default(),
            len: 0,
        }
    }
}

impl<Id: Copy + Ord + Hash> WatchIndex<Id> {
    /// An index that nobody watches.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `id` as a watcher of `range`; false if it is one already. One id may watch many
    /// ranges. A range that no key can lie in is kept and never matches.
    pub fn insert(&mut self, range: &KeyRange, id: Id) -> bool {
        let added = match single_key(range) {
            Some(key) => match self.keys.get_mut(key) {
                Some(ids) => ids.insert(id),
                None => {
                    self.keys.insert(key.into(), Ids::One(id));
                    true
                }
            },
            None => self.ranges.insert(range, id),
        };
        self.len += usize::from(added);
        added
    }

    /// Takes `id` from `range`; false if it was not there.
    pub fn remove(&mut self, range: &KeyRange, id: Id) -> bool {
        let removed = match single_key(range) {
            Some(key) => self.remove_key(key, id),
            None => self.ranges.remove(range, id),
        };
        self.len -= usize::from(removed);
        removed
    }

    /// Calls `found` for each watcher of `key`: those of the key itself, then those of ranges by
    /// ascending start; within one range by ascending id.
    pub fn matches(&self, key: &[u8], found: &mut dyn FnMut(Id)) {
        if let Some(ids) = self.keys.get(key) {
            ids.each(found);
        }
        self.ranges.stab(key, found);
    }

    /// Pairs of range and id in the index.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody watches anything.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn remove_key(&mut self, key: &[u8], id: Id) -> bool {
        let Some(ids) = self.keys.get_mut(key) else {
            return false;
        };
        let removed = ids.remove(id);
        if ids.is_empty() {
            self.keys.remove(key);
        }
        removed
    }
}

/// The key, if the range is one key.
fn single_key(range: &KeyRange) -> Option<&[u8]> {
    let span = range.span();
    match span.end {
        SpanEnd::Single => Some(span.start),
        SpanEnd::Before(_) | SpanEnd::Unbounded => None,
    }
}

#[cfg(test)]
mod tests;
