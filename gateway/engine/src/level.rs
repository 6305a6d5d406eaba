//! The four read levels (architecture, section 6) and what admission answers.

use std::{sync::Arc, time::Duration};

use meridian_home::{CallError, Facts};
use meridian_keyspace::{Revision, SharedKeyspace};

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Sees every write acknowledged before the read began.
    Linearizable,
    /// Sees at least this revision.
    Session(Revision),
    /// Is at most so stale when it is admitted.
    Bounded(Duration),
    /// A consistent state, possibly old.
    Serializable,
}

/// Where an admitted read is to be answered.
#[derive(Clone, Debug)]
pub enum Admitted {
    /// From the replica.
    Local(View),
    /// By the home: the replica is not complete, lags too far, or may not be shown
    /// (authentication is enabled on the home).
    Forward,
}

/// A replica that satisfies the level asked for.
#[derive(Clone, Debug)]
pub struct View {
    /// The replica; reads of it are at its current revision unless they name one.
    pub keyspace: Arc<SharedKeyspace>,
    /// What a response header says; `revision` is the replica's when the read was admitted.
    pub facts: Facts,
    /// Upper bound on the replica's age when the read was admitted.
    pub staleness: Duration,
}

/// Why a read is not admitted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AdmitError {
    /// There is no complete replica yet, and the level does not allow asking the home.
    #[error("meridian: this gateway's replica is not complete yet; retry, or read linearizable")]
    Incomplete,
    /// The replica cannot be made fresh enough in time.
    #[error(
        "meridian: the replica is {staleness_ms} ms stale, over the {allowed_ms} ms asked for, and the home does not answer ({cause}); retry, or allow more staleness"
    )]
    TooStale {
        /// Its age.
        staleness_ms: u128,
        /// What was asked for.
        allowed_ms: u128,
        /// What the home said last.
        cause: String,
    },
    /// The replica has not reached the revision in time.
    #[error(
        "meridian: the replica is at revision {at}, short of the {wanted} this read must see; retry when the home is reachable"
    )]
    NotReached {
        /// Where it is.
        at: Revision,
        /// What was asked for.
        wanted: Revision,
    },
    /// The home refused or could not be asked.
    #[error(transparent)]
    Home(#[from] CallError),
}
