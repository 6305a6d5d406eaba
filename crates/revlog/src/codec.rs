//! How a batch is coded, and the groups that coded batches form.
//!
//! Invariant: the numbers are the wire's and never change their meaning (`golden/` holds a frame of
//! each). What compresses is not known here.

use std::fmt;

/// How the payload of a batch is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    None,
    /// Each batch a zstd frame of its own.
    Zstd,
    /// One zstd context for a whole group, flushed after each batch: a batch can be decoded only
    /// after all batches of its group before it.
    Continuous,
}

impl Codec {
    /// The number on the wire.
    pub const fn wire(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Zstd => 1,
            Self::Continuous => 2,
        }
    }

    /// The codec with this number on the wire.
    pub const fn from_wire(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Zstd),
            2 => Some(Self::Continuous),
            _ => None,
        }
    }
}

/// Names a group: a run of batches that begins with a fresh context and can be decoded from there
/// only. With [`Codec::None`] and [`Codec::Zstd`] each batch is a group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(u64);

impl GroupId {
    /// The group with this number. An encoder counts on from a number drawn at random, so that two
    /// of them never give the same one.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The group after this one.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// What its continuing batches carry of it: enough to tell it from the group of another encoder
    /// and from its neighbours, for half of the bytes.
    pub(crate) const fn tag(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
