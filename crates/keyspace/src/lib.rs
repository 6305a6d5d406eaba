//! The keyspace: a pure, in-memory, multi-version copy of an etcd keyspace.
//!
//! Owns revisions, records, ranges, transactions, watch matching and leases. Its invariant: whole
//! revisions are applied in order, each exactly once, and a read at one revision sees exactly the
//! commits up to it. It knows no async runtime, clock, randomness or socket: time is given in, and
//! bytes come out as the encoded `KeyValue` messages that the revision log delivered.

pub mod change;
pub mod lease;
#[cfg(test)]
mod model;
pub mod query;
pub mod record;
pub mod revision;
pub mod shared;
pub mod span;
pub mod store;
pub mod txn;
pub mod watch;

pub use change::{Change, Commit, Event};
pub use query::{RangeAnswer, RangeQuery, ReadError, RevisionFilter, SortOrder, SortTarget};
pub use record::{Record, RecordError};
pub use revision::{LeaseId, Revision};
pub use shared::SharedKeyspace;
pub use span::{KeyRange, KeySpan, SpanEnd};
pub use store::{ApplyError, Keyspace, WindowLimits};
