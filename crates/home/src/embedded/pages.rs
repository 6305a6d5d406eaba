//! A long range read as a sequence of pages, all at one revision.
//!
//! Invariant: between two pages nothing is locked; the revision stays readable until the pages are
//! dropped.

use std::sync::Arc;

use meridian_keyspace::{
    RangeAnswer, ReadError, Record, Revision, SharedKeyspace,
    query::RangeQuery,
    shared::{Scan, Step},
};

/// A scan of owned bounds, stepwise. A page is one chunk of work under the read lock, which the
/// keyspace bounds in keys and bytes.
pub(super) struct Pages {
    scan: Scan<'static>,
}

impl Pages {
    /// Every key, as of now.
    pub(super) fn all(keyspace: &Arc<SharedKeyspace>) -> Result<Self, ReadError> {
        let query = RangeQuery::of(meridian_keyspace::KeySpan::ALL);
        Ok(Self {
            scan: keyspace.scan(query)?,
        })
    }

    /// The revision of every page.
    pub(super) fn revision(&self) -> Revision {
        self.scan.revision()
    }

    /// The next page; it is the last one if it comes with the answer.
    pub(super) fn next(&mut self) -> (Vec<Record>, Option<RangeAnswer>) {
        let mut records = Vec::new();
        match self.scan.step(&mut |record| records.push(record.clone())) {
            Step::More => (records, None),
            Step::Done(answer) => (records, Some(answer)),
        }
    }
}
