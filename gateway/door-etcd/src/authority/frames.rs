//! HTTP/2 frames, as far as it takes to find a header block.

use std::ops::Range;

/// Bytes of a frame's header: length (3), type, flags, stream (4).
pub(super) const FRAME_HEAD_BYTES: usize = 9;

/// Bytes of a frame's priority: a stream and a weight.
const PRIORITY_BYTES: usize = 5;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

const END_HEADERS: u8 = 0x04;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;

/// What bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// A frame of another kind, of so many bytes in all, which need not be there yet.
    Other(usize),
    /// A header block that is not all there: with so many bytes in all, more can be told.
    Part(usize),
    /// A header block.
    Block(Block),
    /// Nothing that HTTP/2 allows.
    Broken,
}

/// A header block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where it lies: one piece in each of its frames.
    pub(super) pieces: Vec<Range<usize>>,
    /// Where its last frame ends.
    pub(super) end: usize,
}

/// A frame's header.
struct Head {
    kind: u8,
    flags: u8,
    payload: Range<usize>,
}

/// What `bytes` begin with, given a frame's header at least.
pub(super) fn first(bytes: &[u8]) -> First {
    let mut pieces = Vec::new();
    let mut at = 0;
    loop {
        let Some(head) = head(bytes, at) else {
            return First::Part(at + FRAME_HEAD_BYTES);
        };
        let Range { start, end } = head.payload;
        match (at, head.kind) {
            (0, HEADERS) => {}
            (0, _) => return First::Other(end),
            (_, CONTINUATION) => {}
            (_, _) => return First::Broken,
        }
        let Some(payload) = bytes.get(start..end) else {
            return First::Part(end);
        };
        let Some(piece) = fragment(&head, payload) else {
            return First::Broken;
        };
        pieces.push(start + piece.start..start + piece.end);
        at = end;
        if head.flags & END_HEADERS != 0 {
            return First::Block(Block { pieces, end });
        }
    }
}

fn head(bytes: &[u8], at: usize) -> Option<Head> {
    let head = bytes.get(at..)?.first_chunk::<FRAME_HEAD_BYTES>()?;
    let [a, b, c, kind, flags, ..] = *head;
    let len = u32::from_be_bytes([0, a, b, c]) as usize;
    let start = at + FRAME_HEAD_BYTES;
    Some(Head {
        kind,
        flags,
        payload: start..start + len,
    })
}

/// Where in its payload a frame has its part of the block: between priority and padding.
fn fragment(head: &Head, payload: &[u8]) -> Option<Range<usize>> {
    let (mut start, mut end) = (0, payload.len());
    if head.kind == HEADERS {
        if head.flags & PADDED != 0 {
            end = end.checked_sub(usize::from(*payload.first()?))?;
            start += 1;
        }
        if head.flags & PRIORITY != 0 {
            start += PRIORITY_BYTES;
        }
    }
    (start <= end).then_some(start..end)
}
