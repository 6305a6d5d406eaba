//! One committed revision: as the log delivers it ([`Commit`]) and as the keyspace has applied it
//! ([`Change`]), with the record that each event replaced.

use crate::{Record, Revision};

/// One revision as the revision log delivers it: the records it wrote, in operation order. A
/// deleted key is a tombstone record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The revision; all records carry it as their `mod_revision`.
    pub revision: Revision,
    /// What it wrote; never empty.
    pub records: Vec<Record>,
}

/// One revision after it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The revision.
    pub revision: Revision,
    /// What happened in it, in operation order; never empty.
    pub events: Box<[Event]>,
}

impl Change {
    /// Bytes of the encoded records it holds, replaced ones included.
    pub fn bytes(&self) -> usize {
        self.events
            .iter()
            .map(|e| {
                e.record.encoded().len() + e.previous.as_ref().map_or(0, |p| p.encoded().len())
            })
            .sum()
    }
}

/// One put or delete within a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The key's new record; a tombstone for a delete.
    pub record: Record,
    /// The live record that it replaced; none for a create, or where history was compacted.
    pub previous: Option<Record>,
}
