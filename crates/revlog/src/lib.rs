//! The revision log: positions, the rules for what may follow what, and the [`Feed`] that a
//! replica drinks from.
//!
//! Invariant: what passes [`Continuity`] is contiguous and each revision passes once. Pure; it
//! knows no transport and no keyspace beyond the commits it carries.

mod continuity;
mod feed;

pub use continuity::{Continuity, Gap, Verdict};
pub use feed::{Feed, FeedError, FeedPages, FeedSnapshot};
