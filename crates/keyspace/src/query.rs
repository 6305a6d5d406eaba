//! What a range read asks and answers, in etcd's terms (`RangeRequest`, `RangeResponse`).

use crate::{KeySpan, Revision};

/// A range read.
#[derive(Clone, Copy, Debug)]
pub struct RangeQuery<'a> {
    /// The keys asked for.
    pub span: KeySpan<'a>,
    /// The revision to read at; none for the current one.
    pub revision: Option<Revision>,
    /// At most so many records; zero for all.
    pub limit: usize,
    /// What the answer is sorted by.
    pub sort_target: SortTarget,
    /// In which order. `None` with a target other than the key sorts ascending, as etcd does.
    pub sort_order: SortOrder,
    /// Bounds on the records' revisions.
    pub filter: RevisionFilter,
    /// Whether only the number of keys is wanted.
    pub count_only: bool,
}

impl<'a> RangeQuery<'a> {
    /// Reads all of `span` at the current revision, in key order.
    pub fn of(span: KeySpan<'a>) -> Self {
        Self {
            span,
            revision: None,
            limit: 0,
            sort_target: SortTarget::Key,
            sort_order: SortOrder::None,
            filter: RevisionFilter::default(),
            count_only: false,
        }
    }

    /// Whether records come out in key order with no filter, so that a scan can stop at the limit.
    pub fn is_natural(&self) -> bool {
        self.sort_target == SortTarget::Key
            && matches!(self.sort_order, SortOrder::None | SortOrder::Ascend)
            && self.filter == RevisionFilter::default()
    }
}

/// What a range is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SortTarget {
    Key,
    Version,
    Create,
    Mod,
    Value,
}

/// The order of a sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SortOrder {
    None,
    Ascend,
    Descend,
}

/// Bounds on revisions, each inclusive; zero is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct RevisionFilter {
    pub min_mod: i64,
    pub max_mod: i64,
    pub min_create: i64,
    pub max_create: i64,
}

/// What a range read found, beside its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeAnswer {
    /// The keyspace's revision when the read was served (not the one asked for): what etcd puts
    /// in the header.
    pub current: Revision,
    /// Keys in the range at the revision read, before filters and limit.
    pub count: i64,
    /// Whether the limit left records out.
    pub more: bool,
}

/// Why a read at a revision cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The revision was compacted by a client.
    #[error("revision is below the compacted revision {compacted}")]
    Compacted {
        /// The lowest revision that can still be read.
        compacted: Revision,
    },
    /// The revision is older than the history kept here, though not known to be compacted.
    #[error("revision is older than the local history, which begins at {floor}")]
    Forgotten {
        /// The lowest revision that can be read here.
        floor: Revision,
    },
    /// The revision has not been committed, as far as is known here.
    #[error("revision is in the future: the newest is {current}")]
    Future {
        /// The newest revision applied.
        current: Revision,
    },
}
