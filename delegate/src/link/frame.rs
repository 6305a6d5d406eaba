//! Frames on a stream: a length as varint, then that many bytes.
//!
//! Owns [`Frames`], which splits what arrives, and [`Parts`], what is to be written at once.
//! Invariants: a frame that arrived in one piece is handed on without a copy; memory grows with the
//! bytes that arrive, never with a length that is only claimed. Pure; it knows no stream.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use smallvec::SmallVec;

/// A varint of a length that we accept: five bytes hold 35 bits.
const LENGTH_BITS_MAX: u32 = 35;

/// Why bytes are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame is larger than its stream allows.
    #[error("a frame of {bytes} bytes, where {bytes_max} are allowed")]
    TooLarge {
        /// What it claims.
        bytes: u64,
        /// The bound.
        bytes_max: usize,
    },
    /// The length is none.
    #[error("a frame's length has more than five bytes")]
    Length,
    /// The stream ended inside a frame.
    #[error("the stream ended in the middle of a frame")]
    Truncated,
}

/// Splits a stream's bytes into frames.
#[derive(Debug, Default)]
pub struct Frames {
    /// What has arrived and was not looked at.
    chunk: Bytes,
    /// The begin of a frame that came in pieces.
    partial: BytesMut,
    /// Bytes of the frame under way, once its length is known.
    wanted: Option<usize>,
    length: u64,
    length_bits: u32,
}

impl Frames {
    /// Takes what has arrived. To be called only when [`Frames::next`] has found nothing (more).
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
        joined.extend_from_slice(&self.chunk);
        joined.extend_from_slice(&chunk);
        self.chunk = joined.freeze();
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// [`FrameError`]; nothing after it can be read.
    pub fn next(&mut self, bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => match self.read_length()? {
                Some(bytes) if bytes > bytes_max as u64 => {
                    return Err(FrameError::TooLarge { bytes, bytes_max });
                }
                Some(bytes) => *self.wanted.insert(bytes as usize),
                None => return Ok(None),
            },
        };
        if self.partial.is_empty() && self.chunk.len() >= wanted {
            self.wanted = None;
            return Ok(Some(self.chunk.split_to(wanted)));
        }
        let missing = wanted - self.partial.len();
        let piece = self.chunk.split_to(missing.min(self.chunk.len()));
        self.partial.extend_from_slice(&piece);
        if self.partial.len() < wanted {
            return Ok(None);
        }
        self.wanted = None;
        Ok(Some(std::mem::take(&mut self.partial).freeze()))
    }

    /// What has arrived after the last frame, if no frame is under way: for streams that go on
    /// without frames.
    pub fn take_rest(&mut self) -> Option<Bytes> {
        let rest = std::mem::take(&mut self.chunk);
        (!rest.is_empty()).then_some(rest)
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`FrameError::Truncated`] if a frame had begun.
    pub fn end(&self) -> Result<(), FrameError> {
        match self.wanted.is_none() && self.length_bits == 0 {
            true => Ok(()),
            false => Err(FrameError::Truncated),
        }
    }

    fn read_length(&mut self) -> Result<Option<u64>, FrameError> {
        for (at, byte) in self.chunk.iter().enumerate() {
            if self.length_bits >= LENGTH_BITS_MAX {
                return Err(FrameError::Length);
            }
            self.length |= u64::from(byte & 0x7f) << self.length_bits;
            self.length_bits += 7;
            if byte & 0x80 == 0 {
                let length = std::mem::take(&mut self.length);
                self.length_bits = 0;
                self.chunk = self.chunk.slice(at + 1..);
                return Ok(Some(length));
            }
        }
        self.chunk = Bytes::new();
        Ok(None)
    }
}

/// Frames to be written at once: one write, and no copy of what is large.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    chunks: SmallVec<[Bytes; 4]>,
    small: BytesMut,
}

/// What is shorter than this is copied beside its neighbours: a chunk of its own costs as much.
const COPIED_BYTES_MAX: usize = 512;

impl Parts {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message of ours as a frame.
    #[must_use]
    pub fn message(mut self, message: &impl Message) -> Self {
        self.small.reserve(message.encoded_len() + 5);
        message
            .encode_length_delimited(&mut self.small)
            .expect("there is room, for it has just been made");
        self
    }

    /// Adds bytes as a frame.
    #[must_use]
    pub fn frame(mut self, bytes: Bytes) -> Self {
        self.put_length(bytes.len());
        self.bytes(bytes)
    }

    /// Adds bytes as a frame that begins with a tag.
    #[must_use]
    pub fn tagged(mut self, tag: u8, bytes: Bytes) -> Self {
        self.put_length(bytes.len() + 1);
        self.small.put_u8(tag);
        self.bytes(bytes)
    }

    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.small.put_u8(byte);
        self
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.small.len() + self.chunks.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn bytes(mut self, bytes: Bytes) -> Self {
        if bytes.len() <= COPIED_BYTES_MAX {
            self.small.extend_from_slice(&bytes);
        } else {
            self.close_small();
            self.chunks.push(bytes);
        }
        self
    }

    /// All of it, in order.
    pub fn into_chunks(mut self) -> SmallVec<[Bytes; 4]> {
        self.close_small();
        self.chunks
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.chunks.push(self.small.split().freeze());
        }
    }

    fn put_length(&mut self, len: usize) {
        self.small.reserve(6);
        prost::encoding::encode_varint(len as u64, &mut self.small);
    }
}

#[cfg(test)]
mod tests;
