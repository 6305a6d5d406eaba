//! Positions and ids as newtypes, so that two bare numbers never meet.

use std::fmt;

/// etcd's 64-bit main revision. Zero means "none yet"; every committed change has one, from 2 on
/// in a new etcd cluster, whose empty keyspace stands at 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(i64);

impl Revision {
    /// No revision: below every committed one.
    pub const ZERO: Self = Self(0);

    /// The revision with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number as etcd puts it on the wire.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The revision that follows this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The revision before this one.
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a lease; [`LeaseId::NONE`] on a key that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(i64);

impl LeaseId {
    /// No lease.
    pub const NONE: Self = Self(0);

    /// The lease with this id.
    pub const fn new(id: i64) -> Self {
        Self(id)
    }

    /// The id as etcd puts it on the wire.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Whether this is no lease at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}
