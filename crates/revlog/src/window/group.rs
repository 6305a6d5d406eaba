//! One group in a window: batches from a start on, contiguous.
//!
//! Invariant: it is never empty, and its batches follow one another; it only grows at its end.

use std::mem::size_of;

use meridian_keyspace::Revision;

use super::Cursor;
use crate::{Batch, Codec, GroupId};

/// What a batch costs while it is held: small ones cost about as much in memory as on the wire.
pub(super) fn held_bytes(batch: &Batch) -> usize {
    size_of::<Batch>() + batch.frame().len()
}

#[derive(Debug)]
pub(super) struct Group {
    serial: u64,
    id: GroupId,
    batches: Vec<Batch>,
    bytes: usize,
}

impl Group {
    pub(super) fn new(serial: u64, id: GroupId, start: Batch) -> Self {
        Self {
            serial,
            id,
            bytes: held_bytes(&start),
            batches: vec![start],
        }
    }

    /// Its number in the window; a later group has a higher one.
    pub(super) const fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) const fn id(&self) -> GroupId {
        self.id
    }

    pub(super) fn batches(&self) -> &[Batch] {
        &self.batches
    }

    pub(super) const fn len(&self) -> usize {
        self.batches.len()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn first(&self) -> Revision {
        self.batches[0].first()
    }

    pub(super) fn last(&self) -> Revision {
        self.batches[self.batches.len() - 1].last()
    }

    /// Whether no batch can continue it.
    pub(super) fn complete(&self) -> bool {
        match self.batches[0].codec() {
            Codec::None | Codec::Zstd => true,
            Codec::Continuous => false,
        }
    }

    /// Whether this batch, which is no start, is its next one.
    pub(super) fn continued_by(&self, tag: u32, batch: &Batch) -> bool {
        !self.complete() && self.id.tag() == tag && batch.first() == self.last().next()
    }

    pub(super) fn push(&mut self, batch: Batch) {
        self.bytes += held_bytes(&batch);
        self.batches.push(batch);
    }

    pub(super) const fn beginning(&self) -> Cursor {
        Cursor {
            serial: self.serial,
            index: 0,
        }
    }

    pub(super) const fn end(&self) -> Cursor {
        Cursor {
            serial: self.serial,
            index: self.batches.len(),
        }
    }
}
