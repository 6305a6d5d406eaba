//! Key ranges as etcd's requests spell them: a key and a range end.
//!
//! An empty `range_end` is the one key; a `range_end` of a single zero byte is every key from the
//! first on; anything else is half open, `[key, range_end)`, and empty when the end is not after
//! the key. (etcd API guide, "Key ranges".)

/// A borrowed range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpan<'a> {
    /// The first key of the range.
    pub start: &'a [u8],
    /// Where the range ends.
    pub end: SpanEnd<'a>,
}

/// Where a [`KeySpan`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanEnd<'a> {
    /// The range is the one key `start`.
    Single,
    /// The range ends before this key.
    Before(&'a [u8]),
    /// The range has no end.
    Unbounded,
}

impl<'a> KeySpan<'a> {
    /// Every key.
    pub const ALL: KeySpan<'static> = KeySpan {
        start: &[],
        end: SpanEnd::Unbounded,
    };

    /// The range that a request's `key` and `range_end` name.
    pub fn from_wire(key: &'a [u8], range_end: &'a [u8]) -> Self {
        let end = match range_end {
            [] => SpanEnd::Single,
            [0] => SpanEnd::Unbounded,
            end => SpanEnd::Before(end),
        };
        Self { start: key, end }
    }

    /// The one key.
    pub const fn single(key: &'a [u8]) -> Self {
        Self {
            start: key,
            end: SpanEnd::Single,
        }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self.end {
            SpanEnd::Single => key == self.start,
            SpanEnd::Before(end) => key >= self.start && key < end,
            SpanEnd::Unbounded => key >= self.start,
        }
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        matches!(self.end, SpanEnd::Before(end) if end <= self.start)
    }

    /// Whether some key could lie in both ranges.
    pub fn overlaps(&self, other: &KeySpan<'_>) -> bool {
        self.starts_before_end_of(other) && other.starts_before_end_of(self)
    }

    fn starts_before_end_of(&self, other: &KeySpan<'_>) -> bool {
        match other.end {
            SpanEnd::Single => self.start <= other.start,
            SpanEnd::Before(end) => self.start < end,
            SpanEnd::Unbounded => true,
        }
    }

    /// An owned copy.
    pub fn to_owned(&self) -> KeyRange {
        let end = match self.end {
            SpanEnd::Single => OwnedEnd::Single,
            SpanEnd::Before(end) => OwnedEnd::Before(end.into()),
            SpanEnd::Unbounded => OwnedEnd::Unbounded,
        };
        KeyRange {
            start: self.start.into(),
            end,
        }
    }
}

/// An owned range of keys; see [`KeySpan`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    start: Box<[u8]>,
    end: OwnedEnd,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum OwnedEnd {
    Single,
    Before(Box<[u8]>),
    Unbounded,
}

impl KeyRange {
    /// The range that a request's `key` and `range_end` name.
    pub fn from_wire(key: &[u8], range_end: &[u8]) -> Self {
        KeySpan::from_wire(key, range_end).to_owned()
    }

    /// A borrowed view.
    pub fn span(&self) -> KeySpan<'_> {
        let end = match &self.end {
            OwnedEnd::Single => SpanEnd::Single,
            OwnedEnd::Before(end) => SpanEnd::Before(end),
            OwnedEnd::Unbounded => SpanEnd::Unbounded,
        };
        KeySpan {
            start: &self.start,
            end,
        }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.span().contains(key)
    }

    /// The `key` and `range_end` that spell this range in a request.
    pub fn to_wire(&self) -> (&[u8], &[u8]) {
        let end: &[u8] = match &self.end {
            OwnedEnd::Single => &[],
            OwnedEnd::Before(end) => end,
            OwnedEnd::Unbounded => &[0],
        };
        (&self.start, end)
    }
}

#[cfg(test)]
mod tests;
