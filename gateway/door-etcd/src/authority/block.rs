//! A header block (HPACK, RFC 7541), as far as it takes to find a literal `:authority`.
//!
//! Known by its index in the static table, as every client names it that is known to us; one named
//! in any other way is left to HTTP/2.

use std::ops::Range;

use http::uri::Authority;

use super::huffman;

/// `:authority` in the static table.
const AUTHORITY: usize = 1;

/// Longest encoding of an integer: more is no number that a header has.
const INTEGER_BYTES_MAX: usize = 5;

/// A literal value in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    /// Where its bytes lie.
    pub(super) place: Range<usize>,
    coding: Coding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Plain,
    Huffman,
}

/// The first literal `:authority`; none also where the block makes no sense.
pub(super) fn authority(block: &[u8]) -> Option<Literal> {
    let mut reader = Reader { block, at: 0 };
    while let Some(&first) = block.get(reader.at) {
        let name = match first {
            // A whole header by its index.
            0x80.. => {
                reader.integer(7)?;
                continue;
            }
            // A literal that the table is to remember.
            0x40..0x80 => reader.integer(6)?,
            // A new size of the table.
            0x20..0x40 => {
                reader.integer(5)?;
                continue;
            }
            // A literal that it is not.
            0x00..0x20 => reader.integer(4)?,
        };
        if name == 0 {
            reader.string()?;
        }
        let value = reader.string()?;
        if name == AUTHORITY {
            return Some(value);
        }
    }
    None
}

impl Literal {
    /// What to put in its place, if HTTP/2 would refuse it: as long, and coded the same way.
    pub(super) fn stand_in(&self, block: &[u8]) -> Option<Vec<u8>> {
        let bytes = &block[self.place.clone()];
        let coded = match self.coding {
            Coding::Plain => stand_in(bytes.to_vec())?,
            Coding::Huffman => huffman::encode(&stand_in(huffman::decode(bytes)?)?)?,
        };
        (coded.len() == bytes.len()).then_some(coded)
    }
}

/// Replaces what an authority may not hold, each by a byte whose Huffman code is as long.
fn stand_in(mut authority: Vec<u8>) -> Option<Vec<u8>> {
    if Authority::try_from(authority.as_slice()).is_ok() {
        return None;
    }
    for byte in &mut authority {
        *byte = match *byte {
            b'/' => b'-',
            b':' => b'B',
            b'[' | b']' => b'~',
            other => other,
        };
    }
    Authority::try_from(authority.as_slice()).ok()?;
    Some(authority)
}

struct Reader<'a> {
    block: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// An integer whose first byte has `bits` of it.
    fn integer(&mut self, bits: u32) -> Option<usize> {
        let most = (1 << bits) - 1;
        let mut value = usize::from(self.byte()?) & most;
        if value < most {
            return Some(value);
        }
        for nth in 0..INTEGER_BYTES_MAX - 1 {
            let byte = self.byte()?;
            value += usize::from(byte & 0x7f) << (7 * nth);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn string(&mut self) -> Option<Literal> {
        let coding = match *self.block.get(self.at)? {
            0x80.. => Coding::Huffman,
            0x00..0x80 => Coding::Plain,
        };
        let len = self.integer(7)?;
        let place = self.at..self.at + len;
        self.block.get(place.clone())?;
        self.at = place.end;
        Some(Literal { place, coding })
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.block.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}
