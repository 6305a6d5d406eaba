//! How old the replica can be at most, measured on one monotonic clock.
//!
//! A probe sent at `s` is answered with the home's linearizable revision `R`; once `R` is applied,
//! everything acknowledged before `s` is in the replica, so it is fresh as of `s` (architecture,
//! section 5). Pure: time is given in.

use std::{collections::VecDeque, time::Instant};

use meridian_keyspace::Revision;

/// Probes whose revision is not applied yet. One is sent some five times a second at rest; when
/// more than this wait, the replica lags by seconds and the newest say nothing that matters yet.
const WAITING_MAX: usize = 64;

/// The freshness of one replica.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    applied: Revision,
    as_of: Option<Instant>,
    waiting: VecDeque<(Revision, Instant)>,
}

impl Freshness {
    /// A probe sent at `sent` was answered with `revision`.
    pub(crate) fn answered(&mut self, sent: Instant, revision: Revision) {
        if revision <= self.applied {
            self.raise(sent);
        } else if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((revision, sent));
        }
    }

    /// Everything up to `revision` has been applied.
    pub(crate) fn applied(&mut self, revision: Revision) {
        self.applied = self.applied.max(revision);
        while let Some(at) = self
            .waiting
            .iter()
            .position(|(wanted, _)| *wanted <= self.applied)
        {
            let (_, sent) = self
                .waiting
                .remove(at)
                .expect("the position was just found");
            self.raise(sent);
        }
    }

    /// The replica shows everything acknowledged before this instant; none before the first probe.
    pub(crate) fn as_of(&self) -> Option<Instant> {
        self.as_of
    }

    /// The lowest revision that the home is known to have and the replica is not; none if it has
    /// everything.
    pub(crate) fn owed(&self) -> Option<Revision> {
        self.waiting.iter().map(|(wanted, _)| *wanted).min()
    }

    fn raise(&mut self, sent: Instant) {
        self.as_of = Some(self.as_of.map_or(sent, |known| known.max(sent)));
    }
}

#[cfg(test)]
mod tests;
