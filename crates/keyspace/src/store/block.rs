//! A sorted run of items that is searched without looking at the items.
//!
//! Invariant: beside each item stands its *head*, the eight bytes of its key that follow what all
//! keys of the block share, as a big-endian number. Heads lie together in a few cache lines and
//! rise with the keys, so a search reads them and then, mostly, one item. It does not know how
//! full a block may be, nor what its items hold.

/// Something with a key.
pub(super) trait Keyed {
    fn key(&self) -> &[u8];
}

/// Items in rising order of their keys, each key once.
#[derive(Debug)]
pub(super) struct Block<T> {
    /// How many first bytes all keys have in common (at most: it may be lower).
    shared: usize,
    heads: Vec<u64>,
    items: Vec<T>,
}

impl<T: Keyed> Block<T> {
    pub(super) fn new() -> Self {
        Self {
            shared: 0,
            heads: Vec::new(),
            items: Vec::new(),
        }
    }

    /// A block of items that are in rising order already.
    pub(super) fn from_sorted(items: Vec<T>) -> Self {
        let mut block = Self {
            shared: 0,
            heads: Vec::with_capacity(items.capacity()),
            items,
        };
        block.rebuild();
        block
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// An item to change in everything but its key.
    pub(super) fn item_mut(&mut self, at: usize) -> &mut T {
        &mut self.items[at]
    }

    /// Gives the first item a lower key.
    pub(super) fn lower_first(&mut self, lower: impl FnOnce(&mut T)) {
        if let Some(first) = self.items.first_mut() {
            lower(first);
        }
        let (Some(first), Some(last)) = (self.items.first(), self.items.last()) else {
            return;
        };
        if common_len(first.key(), last.key()) < self.shared {
            self.rebuild();
        } else {
            self.heads[0] = head(first.key(), self.shared);
        }
    }

    /// Where `key` is, or where it would go.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let at = self.lower_bound(key);
        match self.items.get(at) {
            Some(item) if item.key() == key => Ok(at),
            Some(_) | None => Err(at),
        }
    }

    /// The item with this key. Cheaper than [`Block::find`]: a key that does not share the block's
    /// first bytes is found unequal at the end instead of at the beginning.
    pub(super) fn get(&self, key: &[u8]) -> Option<&T> {
        let item = self.items.get(self.search_heads(key))?;
        (item.key() == key).then_some(item)
    }

    /// The last item whose key is not above `key`; the first one if all are above it.
    pub(super) fn covering(&self, key: &[u8]) -> usize {
        let at = self.lower_bound(key);
        // Heads tell, without a look at the item, that it is above the key.
        let differs = self
            .heads
            .get(at)
            .is_none_or(|found| *found != head(key, self.shared));
        if !differs && self.items[at].key() == key {
            at
        } else {
            at.saturating_sub(1)
        }
    }

    /// How many items have keys below `key`.
    pub(super) fn lower_bound(&self, key: &[u8]) -> usize {
        let Some(first) = self.items.first() else {
            return 0;
        };
        let shared = &first.key()[..self.shared];
        let common = common_len(shared, key);
        if common == self.shared {
            return self.search_heads(key);
        }
        // The key leaves the shared bytes at `common`: it is below or above all items.
        match key.get(common) {
            Some(byte) if *byte > shared[common] => self.items.len(),
            Some(_) | None => 0,
        }
    }

    /// [`Block::lower_bound`] of a key that has the shared first bytes.
    fn search_heads(&self, key: &[u8]) -> usize {
        let wanted = head(key, self.shared);
        let start = self.heads.partition_point(|head| *head < wanted);
        let equal = self.heads[start..]
            .iter()
            .take(2)
            .take_while(|head| **head == wanted)
            .count();
        let end = match equal {
            0 => return start,
            1 => start + 1,
            _ => start + self.heads[start..].partition_point(|head| *head == wanted),
        };
        start + self.items[start..end].partition_point(|item| item.key() < key)
    }

    /// Puts an item where [`Block::find`] said it goes.
    pub(super) fn insert(&mut self, at: usize, item: T) {
        let fits = self
            .items
            .first()
            .is_some_and(|first| item.key().starts_with(&first.key()[..self.shared]));
        if fits {
            self.heads.insert(at, head(item.key(), self.shared));
            self.items.insert(at, item);
        } else {
            self.items.insert(at, item);
            self.rebuild();
        }
    }

    pub(super) fn remove(&mut self, at: usize) -> T {
        self.heads.remove(at);
        self.items.remove(at)
    }

    /// Takes away the items from `at` on.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let items = self.items.split_off(at);
        self.rebuild();
        Self::from_sorted(items)
    }

    /// Adds items that follow these.
    pub(super) fn append(&mut self, mut next: Vec<T>) {
        self.items.append(&mut next);
        self.rebuild();
    }

    pub(super) fn into_items(self) -> Vec<T> {
        self.items
    }

    fn rebuild(&mut self) {
        self.heads.clear();
        let (Some(first), Some(last)) = (self.items.first(), self.items.last()) else {
            return;
        };
        // What the first and the last key share, all keys between them share.
        self.shared = common_len(first.key(), last.key());
        self.heads
            .extend(self.items.iter().map(|item| head(item.key(), self.shared)));
    }
}

fn common_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The eight bytes from `shared` on as a number; missing ones are zero, so that a key and its
/// extension by zero bytes have one head and are told apart by the whole key.
fn head(key: &[u8], shared: usize) -> u64 {
    let rest = key.get(shared..).unwrap_or_default();
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests;
