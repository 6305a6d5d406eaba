//! Decodes batches to commits.
//!
//! Invariant: a batch that continues a group is decoded only right after the one before it; what
//! comes out is as long as its header says, contiguous, and never more. It reads one log at a time.

use meridian_keyspace::{Commit, Revision};

use crate::{
    Batch, BatchError, Codec, Epoch,
    batch::Member,
    payload::{self, Expected},
    zstandard::Decompressor,
};

/// A buffer that one batch has blown up beyond this is given back after it: twice the aim of a batch.
const SCRATCH_BYTES_MAX: usize = 2 << 20;

/// Decodes batches to commits.
#[derive(Default)]
pub struct Decoder {
    decompressor: Option<Decompressor>,
    /// What the context at hand can go on with.
    due: Option<Due>,
    raw: Vec<u8>,
}

/// The batch that continues what was decoded last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    epoch: Epoch,
    tag: u32,
    first: Revision,
}

impl Decoder {
    /// A decoder that has seen nothing: it can begin with any start of a group.
    pub fn new() -> Self {
        Self::default()
    }

    /// The commits of a batch.
    ///
    /// # Errors
    /// [`BatchError::NotAligned`] if it continues what was not decoded just before; nothing has
    /// changed then. Any other means that the batch is wrong, and only a start can follow.
    pub fn decode(&mut self, batch: &Batch) -> Result<Vec<Commit>, BatchError> {
        let expected = Expected {
            first: batch.first(),
            last: batch.last(),
            events: batch.events(),
        };
        let commits = if self.decompress(batch)? {
            payload::parse(&self.raw, expected)
        } else {
            payload::parse(batch.payload(), expected)
        };
        self.give_back();
        commits.map_err(|error| {
            self.due = None;
            error.into()
        })
    }

    /// Takes a batch in as context only: what follows it can be decoded, its own commits are not
    /// looked at. Some times cheaper than [`Decoder::decode`].
    ///
    /// # Errors
    /// As [`Decoder::decode`].
    pub fn skip(&mut self, batch: &Batch) -> Result<(), BatchError> {
        self.decompress(batch)?;
        self.give_back();
        Ok(())
    }

    /// Fills `raw` if the payload was compressed at all, and tells that.
    fn decompress(&mut self, batch: &Batch) -> Result<bool, BatchError> {
        match batch.member() {
            Member::Start(_) => {}
            Member::Continues(tag) if self.due != Some(Due::of(batch, tag, batch.first())) => {
                return Err(BatchError::NotAligned);
            }
            Member::Continues(_) => {}
        }
        self.due = None;
        match batch.codec() {
            Codec::None => return Ok(false),
            Codec::Zstd => self.inflate(batch)?,
            Codec::Continuous => {
                self.inflate(batch)?;
                let tag = batch.member().tag();
                self.due = Some(Due::of(batch, tag, batch.last().next()));
            }
        }
        Ok(true)
    }

    fn inflate(&mut self, batch: &Batch) -> Result<(), BatchError> {
        let decompressor = self.decompressor.get_or_insert_with(Decompressor::new);
        if batch.start().is_some() {
            decompressor.reset();
        }
        decompressor
            .decompress(batch.payload(), raw_len(batch), &mut self.raw)
            .map_err(|reason| BatchError::Compression { reason })
    }

    fn give_back(&mut self) {
        self.raw.clear();
        if self.raw.capacity() > SCRATCH_BYTES_MAX {
            self.raw.shrink_to(SCRATCH_BYTES_MAX);
        }
    }
}

fn raw_len(batch: &Batch) -> usize {
    usize::try_from(batch.raw_len()).expect("the header was checked against the longest payload")
}

impl Due {
    const fn of(batch: &Batch, tag: u32, first: Revision) -> Self {
        Self {
            epoch: batch.epoch(),
            tag,
            first,
        }
    }
}

#[cfg(test)]
mod tests;
