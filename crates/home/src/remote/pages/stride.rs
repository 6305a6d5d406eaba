//! Which keys the next page of a snapshot asks for.
//!
//! etcd counts every key of a range for every page of it, so asking for all that is left makes a
//! snapshot quadratic in its pages. A stride asks for a part that should hold about a page
//! instead: the keys that share a prefix with the last one, as long as a page's keys differ.
//! Invariant: strides are adjacent and end with the keyspace, so every key is asked for once.
//! Pure.

use bytes::Bytes;

/// The lowest key, and as a range's end: none.
const LOWEST: &[u8] = &[0];

/// A part that holds more than so many pages is narrowed: counting four pages' keys costs etcd
/// less than sending one.
const PAGES_PER_STRIDE_MAX: i64 = 4;

/// A place in the keyspace, and how far the next page may reach.
#[derive(Clone, Debug)]
pub(super) struct Stride {
    /// The first key asked for.
    key: Vec<u8>,
    /// The key before which the range ends; none for all that is left.
    end: Option<Vec<u8>>,
    /// How many bytes the prefix behind `end` has.
    depth: usize,
    /// By how many bytes it is shortened when the next part turns out to be small.
    widening: usize,
}

/// What a page told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a> {
    /// Its first and last key, if it has any.
    pub(super) ends: Option<(&'a [u8], &'a [u8])>,
    /// How many keys it has, and how many it could have had.
    pub(super) keys: i64,
    pub(super) limit: i64,
    /// How many keys the range has.
    pub(super) count: i64,
    /// Whether the limit left some out.
    pub(super) more: bool,
}

/// What follows a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Another page.
    Another,
    /// Nothing: every key has been asked for.
    Nothing,
}

impl Stride {
    /// All keys.
    pub(super) fn all() -> Self {
        Self {
            key: LOWEST.to_vec(),
            end: None,
            depth: 0,
            widening: 1,
        }
    }

    /// The request's `key`.
    pub(super) fn key(&self) -> Bytes {
        Bytes::copy_from_slice(&self.key)
    }

    /// The request's `range_end`.
    pub(super) fn range_end(&self) -> Bytes {
        Bytes::copy_from_slice(self.end.as_deref().unwrap_or(LOWEST))
    }

    /// Moves behind a page.
    pub(super) fn pass(&mut self, page: Told<'_>) -> Then {
        match (page.ends, page.more) {
            (Some((first, last)), true) => {
                self.key = [last, &[0]].concat();
                self.widening = 1;
                if page.count - page.keys > page.limit.saturating_mul(PAGES_PER_STRIDE_MAX) {
                    self.reach(last, common_prefix(first, last) + 1);
                }
                Then::Another
            }
            (_, false) | (None, true) => self.begin_next(page),
        }
    }

    /// Goes on where the range ended, further if the page was small.
    fn begin_next(&mut self, page: Told<'_>) -> Then {
        let Some(end) = self.end.take() else {
            return Then::Nothing;
        };
        if page.keys == 0 || page.keys < page.limit / 2 {
            self.depth = self.depth.saturating_sub(self.widening);
            self.widening *= 2;
        }
        self.reach(&end, self.depth);
        self.key = end;
        Then::Another
    }

    /// Ends the range behind the keys that share `depth` bytes with `key`.
    fn reach(&mut self, key: &[u8], depth: usize) {
        let prefix = &key[..depth.min(key.len())];
        self.depth = prefix.len();
        self.end = prefix_end(prefix);
    }
}

/// The first key after all those that begin with `prefix`; none if there is no such key.
fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
