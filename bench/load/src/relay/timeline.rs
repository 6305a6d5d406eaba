//! Which revision was committed when, and who saw it when: one clock, the benchmark's own.
//!
//! A commit counts from when its writer, who stands beside the home, has the acknowledgement. Times are kept per
//! revision and compared afterwards, so watching costs two atomic writes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use super::home::Written;
use crate::outcome::{Latency, Recorder};

/// Times of one kind, by revision: nanoseconds since the origin, zero if not seen.
#[derive(Debug)]
pub(super) struct Times {
    origin: Instant,
    base: i64,
    slots: Vec<AtomicU64>,
    /// The highest revision seen.
    highest: AtomicI64,
    /// Revisions seen more than once.
    again: AtomicU64,
}

impl Times {
    fn new(origin: Instant, base: i64, capacity: usize) -> Self {
        Self {
            origin,
            base,
            slots: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            highest: AtomicI64::new(base),
            again: AtomicU64::new(0),
        }
    }

    /// Now, for this revision; what is outside of the run is not kept.
    pub(super) fn saw(&self, revision: i64) {
        let nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if let Some(slot) = self.slot(revision)
            && slot.swap(nanos, Ordering::Relaxed) != 0
        {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
        self.highest.fetch_max(revision, Ordering::Relaxed);
    }

    /// The highest revision seen.
    pub(super) fn highest(&self) -> i64 {
        self.highest.load(Ordering::Relaxed)
    }

    fn slot(&self, revision: i64) -> Option<&AtomicU64> {
        let index = usize::try_from(revision - self.base).ok()?;
        self.slots.get(index)
    }

    /// How long ago, if it was seen.
    pub(super) fn since(&self, revision: i64) -> Option<Duration> {
        Some(self.origin.elapsed().saturating_sub(self.at(revision)?))
    }

    /// When, since the origin.
    pub(super) fn at(&self, revision: i64) -> Option<Duration> {
        let nanos = self.slot(revision)?.load(Ordering::Relaxed);
        (nanos != 0).then(|| Duration::from_nanos(nanos))
    }
}

/// The commits of a run; sightings are compared with them.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    committed: Arc<Times>,
    capacity: usize,
}

/// How late revisions were seen.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Lateness {
    /// From commit to sighting.
    pub(super) latency: Latency,
    /// Revisions that a watcher did not see.
    pub(super) missing: u64,
    /// Revisions that a watcher saw again.
    pub(super) again: u64,
}

impl Timeline {
    /// For `capacity` revisions after `base`.
    pub(super) fn new(base: i64, capacity: usize) -> Self {
        Self {
            committed: Arc::new(Times::new(Instant::now(), base, capacity)),
            capacity,
        }
    }

    /// Where acknowledgements are noted.
    pub(super) fn committed(&self) -> &Arc<Times> {
        &self.committed
    }

    /// Where one watcher notes what it sees.
    pub(super) fn watcher(&self) -> Arc<Times> {
        let Times { origin, base, .. } = *self.committed;
        Arc::new(Times::new(origin, base, self.capacity))
    }

    /// How late these watchers saw what was written.
    pub(super) fn lateness<'a>(
        &self,
        watchers: impl IntoIterator<Item = &'a Arc<Times>>,
        written: &Written,
    ) -> Lateness {
        let (recorder, mut missing, mut again) = (Recorder::default(), 0, 0);
        for watcher in watchers {
            again += watcher.again.load(Ordering::Relaxed);
            for revision in written.from + 1..=written.to {
                match (self.committed.at(revision), watcher.at(revision)) {
                    (Some(committed), Some(seen)) => {
                        recorder.success(seen.saturating_sub(committed), 0);
                    }
                    // Somebody else's write: not the benchmark's, and so nobody's to see.
                    (None, _) => {}
                    (Some(_), None) => missing += 1,
                }
            }
        }
        Lateness {
            latency: recorder.finish(Duration::from_secs(1)).latency,
            missing,
            again,
        }
    }

    /// How much later `second` saw each revision than `first`; sooner counts as zero.
    pub(super) fn behind(first: &Times, second: &Times, written: &Written) -> Latency {
        let recorder = Recorder::default();
        for revision in written.from + 1..=written.to {
            if let Some((first, second)) = first.at(revision).zip(second.at(revision)) {
                recorder.success(second.saturating_sub(first), 0);
            }
        }
        recorder.finish(Duration::from_secs(1)).latency
    }
}

#[cfg(test)]
mod tests;
