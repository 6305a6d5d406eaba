//! A number that only rises, and waits for it to reach a mark.
//!
//! Invariant: a wait ends with `Ok` only if the level has reached its mark. A rise wakes exactly
//! the waits it satisfies, so thousands of waits for later marks cost a rise nothing. It does not
//! know what is counted.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::Instant};

/// A monotone level; share it by `Arc` or reference.
#[derive(Debug)]
pub struct Level {
    now: AtomicI64,
    /// The lowest mark anyone waits for; `i64::MAX` when nobody does.
    lowest: AtomicI64,
    waits: AtomicU64,
    /// One entry per wait under way: bounded by the callers' own request limits.
    waiting: Mutex<BTreeMap<(i64, u64), oneshot::Sender<()>>>,
}

/// The deadline passed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waited for {wanted}, but only {reached} was reached in time")]
pub struct NotReached {
    /// The mark waited for.
    pub wanted: i64,
    /// Where the level stood at the deadline.
    pub reached: i64,
}

impl Level {
    /// A level that stands at `now`.
    pub fn new(now: i64) -> Self {
        Self {
            now: AtomicI64::new(now),
            lowest: AtomicI64::new(i64::MAX),
            waits: AtomicU64::new(0),
            waiting: Mutex::new(BTreeMap::new()),
        }
    }

    /// Where it stands.
    pub fn get(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Raises it to `to`; lower than it stands changes nothing.
    pub fn set(&self, to: i64) {
        let before = self.now.fetch_max(to, Ordering::SeqCst);
        // Pairs with `enlist`: it publishes `lowest` and then reads `now`; here the other way.
        if to > before && to >= self.lowest.load(Ordering::SeqCst) {
            self.release(to);
        }
    }

    /// Waits until the level is at or above `mark`; returns where it stands then. Costs one load
    /// when it is reached already. Cancel-safe.
    ///
    /// # Errors
    /// [`NotReached`] at the deadline.
    pub async fn reached(
        &self,
        mark: i64,
        deadline: impl Into<Instant>,
    ) -> Result<i64, NotReached> {
        let now = self.get();
        if now >= mark {
            return Ok(now);
        }
        let Some((waiting, released)) = self.enlist(mark) else {
            return Ok(self.get());
        };
        let outcome = tokio::time::timeout_at(deadline.into(), released).await;
        drop(waiting);
        let reached = self.get();
        match outcome {
            Ok(_) => Ok(reached),
            Err(_) if reached >= mark => Ok(reached),
            Err(_) => Err(NotReached {
                wanted: mark,
                reached,
            }),
        }
    }

    /// Waits under way.
    pub fn waits(&self) -> usize {
        self.waiting.lock().len()
    }

    /// Adds a wait, unless the mark was reached meanwhile.
    fn enlist(&self, mark: i64) -> Option<(Waiting<'_>, oneshot::Receiver<()>)> {
        let (release, released) = oneshot::channel();
        let place = (mark, self.waits.fetch_add(1, Ordering::Relaxed));
        let mut waiting = self.waiting.lock();
        waiting.insert(place, release);
        self.publish_lowest(&waiting);
        if self.get() >= mark {
            waiting.remove(&place);
            self.publish_lowest(&waiting);
            return None;
        }
        Some((Waiting { level: self, place }, released))
    }

    fn release(&self, to: i64) {
        let mut waiting = self.waiting.lock();
        let later = waiting.split_off(&(to.saturating_add(1), 0));
        let reached = std::mem::replace(&mut *waiting, later);
        self.publish_lowest(&waiting);
        drop(waiting);
        for release in reached.into_values() {
            // The wait may have ended at its deadline: then nobody listens, which is fine.
            let _ = release.send(());
        }
    }

    fn publish_lowest(&self, waiting: &BTreeMap<(i64, u64), oneshot::Sender<()>>) {
        let lowest = waiting
            .first_key_value()
            .map_or(i64::MAX, |((mark, _), _)| *mark);
        self.lowest.store(lowest, Ordering::SeqCst);
    }
}

/// Takes its wait off the list when dropped.
struct Waiting<'a> {
    level: &'a Level,
    place: (i64, u64),
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.level.waiting.lock();
        if waiting.remove(&self.place).is_some() {
            self.level.publish_lowest(&waiting);
        }
    }
}

#[cfg(test)]
mod tests;
