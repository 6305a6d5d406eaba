//! Cuts a stream of bytes into frames, and frames into batches.
//!
//! Invariant: it holds what was pushed and not yet taken, never more by a claimed length; a frame that
//! lies whole in one chunk is not copied. After an error the stream is of no use: it stays one.

use std::{collections::VecDeque, mem};

use bytes::{Buf, Bytes};

use crate::{
    Batch, BatchError, FrameError,
    frame::{self, AHEAD_BYTES_MAX, Kind, PREFIX_BYTES_MAX},
};

/// Cuts a stream of bytes into frames of one kind.
#[derive(Debug)]
pub(crate) struct Splitter {
    kind: Kind,
    chunks: VecDeque<Bytes>,
    /// The beginning of a frame that did not lie whole in one chunk.
    begun: Vec<u8>,
    failed: Option<FrameError>,
}

impl Splitter {
    pub(crate) const fn new(kind: Kind) -> Self {
        Self {
            kind,
            chunks: VecDeque::new(),
            begun: Vec::new(),
            failed: None,
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        if !chunk.is_empty() && self.failed.is_none() {
            self.chunks.push_back(chunk);
        }
    }

    pub(crate) fn buffered(&self) -> usize {
        self.begun.len() + self.chunks.iter().map(Bytes::len).sum::<usize>()
    }

    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.cut().inspect_err(|error| {
            self.failed = Some(*error);
            self.chunks.clear();
            self.begun = Vec::new();
        })
    }

    fn cut(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.begun.is_empty()
            && let Some(frame) = self.cut_whole()?
        {
            return Ok(Some(frame));
        }
        let whole = loop {
            if let Some(whole) = frame::length(self.kind, &self.begun)? {
                break whole;
            }
            // Too few bytes to tell the length; frames shorter than this are told byte by byte.
            if !self.gather(1) {
                return Ok(None);
            }
            debug_assert!(self.begun.len() <= PREFIX_BYTES_MAX);
        };
        self.begun
            .reserve_exact(whole.min(AHEAD_BYTES_MAX).saturating_sub(self.begun.len()));
        while self.begun.len() < whole {
            if !self.gather(whole - self.begun.len()) {
                return Ok(None);
            }
        }
        Ok(Some(mem::take(&mut self.begun).into()))
    }

    /// The frame at the front, if the first chunk holds it whole.
    fn cut_whole(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(chunk) = self.chunks.front_mut() else {
            return Ok(None);
        };
        let whole = match frame::length(self.kind, chunk)? {
            Some(whole) if whole <= chunk.len() => whole,
            Some(_) | None => return Ok(None),
        };
        let frame = chunk.split_to(whole);
        self.drop_empty();
        Ok(Some(frame))
    }

    /// Moves up to `most` bytes of the first chunk to what was begun; whether there were any.
    fn gather(&mut self, most: usize) -> bool {
        let Some(chunk) = self.chunks.front_mut() else {
            return false;
        };
        let count = most.min(chunk.len());
        self.begun.extend_from_slice(&chunk[..count]);
        chunk.advance(count);
        self.drop_empty();
        true
    }

    fn drop_empty(&mut self) {
        if self.chunks.front().is_some_and(Bytes::is_empty) {
            self.chunks.pop_front();
        }
    }
}

/// Cuts a stream of bytes into batches. Push what arrives, then take batches until there is none.
#[derive(Debug)]
pub struct FrameReader {
    splitter: Splitter,
    failed: Option<BatchError>,
}

impl FrameReader {
    /// At the beginning of a stream, or between two frames of it.
    pub const fn new() -> Self {
        Self {
            splitter: Splitter::new(Kind::BATCH),
            failed: None,
        }
    }

    /// Takes bytes that arrived.
    pub fn push(&mut self, chunk: Bytes) {
        if self.failed.is_none() {
            self.splitter.push(chunk);
        }
    }

    /// Bytes that were pushed and are in no batch yet.
    pub fn buffered(&self) -> usize {
        self.splitter.buffered()
    }

    /// The next batch, if it has arrived whole.
    ///
    /// # Errors
    /// As [`Batch::parse`]; the same again from then on.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator ends, this goes on after the next push"
    )]
    pub fn next(&mut self) -> Result<Option<Batch>, BatchError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let next = match self.splitter.next() {
            Ok(Some(frame)) => Batch::parse(frame).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        };
        next.inspect_err(|error| {
            self.failed = Some(error.clone());
            self.splitter = Splitter::new(Kind::BATCH);
        })
    }
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
