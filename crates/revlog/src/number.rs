//! Numbers and byte strings inside a frame: LEB128 varints, and a reader that cannot leave its bytes.
//!
//! Invariant: a number has one encoding, the shortest; any other is an error, so equal frames mean
//! equal bytes. It allocates nothing.

/// The longest varint of 64 bits.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// The bytes end too early, or hold no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// They end too early.
    Truncated,
    /// Longer than 64 bits, or not the shortest encoding.
    Number,
}

impl Wrong {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::Truncated => "it ends too early",
            Self::Number => "a number is longer than it may be",
        }
    }
}

/// Appends a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes of a value as a varint.
pub(crate) const fn varint_bytes(value: u64) -> usize {
    // Seven bits a byte, and one byte for zero.
    (70 - (value | 1).leading_zeros() as usize) / 7
}

/// Reads from the front of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes were read.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// How many are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Wrong> {
        let mut value = 0;
        for (index, byte) in self.bytes[self.at..]
            .iter()
            .take(VARINT_BYTES_MAX)
            .enumerate()
        {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                let longest = index + 1 == VARINT_BYTES_MAX;
                if (*byte == 0 && index > 0) || (longest && *byte > 1) {
                    return Err(Wrong::Number);
                }
                self.at += index + 1;
                return Ok(value);
            }
        }
        let whole = self.left() >= VARINT_BYTES_MAX;
        Err(if whole {
            Wrong::Number
        } else {
            Wrong::Truncated
        })
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Wrong> {
        let end = self.at.checked_add(count).ok_or(Wrong::Truncated)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Wrong::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    /// A byte string with its length before it.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Wrong> {
        let count = usize::try_from(self.varint()?).map_err(|_| Wrong::Truncated)?;
        self.bytes(count)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }
}

#[cfg(test)]
mod tests;
