//! Requests whose `:authority` is a URL, made acceptable before HTTP/2 sees them.
//!
//! clientv3 3.4 calls a member that is named by URL with the whole URL as `:authority`
//! (`http://10.0.0.1:2379`). Go's HTTP/2 does not look at it; ours resets the stream before anybody
//! is asked. So a connection's first header block is looked at on its way in, and an authority that
//! HTTP/2 would refuse is replaced by a stand-in of the same length, decoded and encoded: no frame
//! changes its size, and both sides' header tables stay equal.
//!
//! Owns a pure machine, bytes in and bytes out, and the socket around it. Invariants: every byte
//! leaves in order and unchanged but for those of such an authority; at most [`HELD_BYTES_MAX`] are
//! kept back; what is not understood passes untouched, for HTTP/2 to judge. A gRPC connection has
//! one authority: when the first is fine, nothing is looked at any more.

mod block;
mod frames;
mod huffman;
mod socket;

use std::ops::Range;

use bytes::{Buf, BytesMut};

use frames::{FRAME_HEAD_BYTES, First};
pub(crate) use socket::Socket;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a header block that are kept back until it is whole: one frame of the largest size that
/// HTTP/2 takes here (16 KiB) and as much again in continuations. A larger one passes as it is.
const HELD_BYTES_MAX: usize = 32 << 10;

/// The machine for one connection's incoming bytes.
pub(crate) struct Mender {
    looking: Looking,
    /// What arrived and was not taken.
    bytes: BytesMut,
    /// Of these, how many may leave. What follows begins with a frame.
    ready: usize,
    /// Bytes still to arrive that may leave unseen: the rest of a frame.
    passing: usize,
    /// Bytes that must be there before another look is of use.
    wanted: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looking {
    /// At the preface, of which this much was seen.
    Preface(usize),
    /// At frames, the first header block still to come.
    First,
    /// At frames: this client's authority is a URL, and it says so again whenever its header table
    /// has forgotten.
    All,
    /// No more.
    Nothing,
}

impl Mender {
    /// At the beginning of a connection.
    pub(crate) fn new() -> Self {
        Self {
            looking: Looking::Preface(0),
            bytes: BytesMut::new(),
            ready: 0,
            passing: 0,
            wanted: FRAME_HEAD_BYTES,
        }
    }

    /// Takes what has arrived.
    pub(crate) fn push(&mut self, arrived: &[u8]) {
        self.bytes.extend_from_slice(arrived);
        while self.step() {}
    }

    /// Looks no more: whatever is kept back may leave.
    pub(crate) fn end(&mut self) {
        self.looking = Looking::Nothing;
        self.ready = self.bytes.len();
    }

    /// What may leave now.
    pub(crate) fn ready(&self) -> &[u8] {
        &self.bytes[..self.ready]
    }

    /// So much of [`Self::ready`] has left.
    pub(crate) fn take(&mut self, len: usize) {
        assert!(len <= self.ready, "only what is ready leaves");
        self.bytes.advance(len);
        self.ready -= len;
    }

    /// Whether everything has left and the rest of the connection need not come here.
    pub(crate) fn is_done(&self) -> bool {
        self.looking == Looking::Nothing && self.bytes.is_empty()
    }

    /// Looks at what is not ready; whether another look may tell more.
    fn step(&mut self) -> bool {
        let passing = self.passing.min(self.bytes.len() - self.ready);
        self.ready += passing;
        self.passing -= passing;
        match self.looking {
            Looking::Preface(seen) => self.preface(seen),
            Looking::First | Looking::All => self.frame(),
            Looking::Nothing => {
                self.end();
                false
            }
        }
    }

    fn preface(&mut self, seen: usize) -> bool {
        let fresh = &self.bytes[self.ready..];
        let rest = &PREFACE[seen..];
        let len = rest.len().min(fresh.len());
        if fresh[..len] != rest[..len] {
            self.end();
            return false;
        }
        self.ready += len;
        self.looking = if len == rest.len() {
            Looking::First
        } else {
            Looking::Preface(seen + len)
        };
        self.looking == Looking::First
    }

    fn frame(&mut self) -> bool {
        let fresh = &mut self.bytes[self.ready..];
        if fresh.len() < self.wanted {
            return false;
        }
        match frames::first(fresh) {
            First::Other(len) => self.passing = len,
            First::Part(wanted) if wanted <= HELD_BYTES_MAX => {
                self.wanted = wanted;
                return false;
            }
            First::Part(_) | First::Broken => {
                self.end();
                return false;
            }
            First::Block(block) => {
                let mended = mend(fresh, &block.pieces);
                self.passing = block.end;
                self.looking = match (self.looking, mended) {
                    (Looking::All, _) | (_, Mended::Yes) => Looking::All,
                    (Looking::Preface(_) | Looking::First | Looking::Nothing, Mended::No) => {
                        Looking::Nothing
                    }
                };
            }
        }
        self.wanted = FRAME_HEAD_BYTES;
        true
    }
}

/// Whether a header block had an authority to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mended {
    Yes,
    No,
}

/// Replaces the authority in the header block that lies in these pieces, if it needs that and there
/// is a stand-in.
fn mend(bytes: &mut [u8], pieces: &[Range<usize>]) -> Mended {
    let mut whole: Vec<u8> = Vec::new();
    for piece in pieces {
        whole.extend_from_slice(&bytes[piece.clone()]);
    }
    let Some(literal) = block::authority(&whole) else {
        return Mended::No;
    };
    let Some(stand_in) = literal.stand_in(&whole) else {
        return Mended::No;
    };
    whole[literal.place].copy_from_slice(&stand_in);
    let mut rest = whole.as_slice();
    for piece in pieces {
        let (of_piece, after) = rest.split_at(piece.len());
        bytes[piece.clone()].copy_from_slice(of_piece);
        rest = after;
    }
    Mended::Yes
}

#[cfg(test)]
mod tests;
