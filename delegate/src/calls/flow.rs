//! Credit: how much of a streaming call may be on its way to a slow reader.
//!
//! QUIC's own windows are those of the log, too large to be left full by each of a thousand calls whose
//! clients do not read; so a call has credit of its own, and its bytes never stay in the transport.
//! Invariant: what waits here for a reader is less than [`CREDIT_BYTES`] and one message more. Pure
//! counting; it knows no stream.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// What one direction of a call may have unread: at a round trip of 220 ms that is 4.7 MB/s for
/// one call, and a thousand calls whose clients do not read hold 1 GiB.
pub(super) const CREDIT_BYTES: i64 = 1 << 20;

/// Credit is given back in steps of this, two in a window: a few bytes for each half MiB.
const STEP_BYTES: i64 = CREDIT_BYTES / 2;

/// What a message costs beside its bytes, so that empty ones are bounded too.
const MESSAGE_COST: i64 = 64;

/// The counters of one side of a call.
#[derive(Debug)]
pub(super) struct Flow {
    /// What we may still send.
    budget: AtomicI64,
    /// What has arrived and was not read.
    held: AtomicI64,
    /// What was read and not yet given back as credit.
    due: AtomicI64,
    /// Told when there is a budget again or credit to give back.
    wake: Notify,
}

/// The other side sent more than it had credit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

impl Flow {
    pub(super) fn new() -> Self {
        Self {
            budget: AtomicI64::new(CREDIT_BYTES),
            held: AtomicI64::new(0),
            due: AtomicI64::new(0),
            wake: Notify::new(),
        }
    }

    /// Whether a message, of whatever size, may be sent.
    pub(super) fn may_send(&self) -> bool {
        self.budget.load(Ordering::Relaxed) > 0
    }

    pub(super) fn sent(&self, len: usize) {
        self.budget.fetch_sub(cost(len), Ordering::Relaxed);
    }

    /// The other side has read.
    pub(super) fn credited(&self, bytes: u64) {
        // No honest peer gives more than it was sent; more than a window is of no use to us.
        let bytes = i64::try_from(bytes).unwrap_or(CREDIT_BYTES);
        let raised = |budget: i64| Some(budget.saturating_add(bytes).min(CREDIT_BYTES));
        let _ = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised);
        self.wake.notify_one();
    }

    /// A message has arrived and waits to be read.
    pub(super) fn arrived(&self, len: usize) -> Result<(), Overrun> {
        match self.held.fetch_add(cost(len), Ordering::Relaxed) >= CREDIT_BYTES {
            true => Err(Overrun),
            false => Ok(()),
        }
    }

    /// A message was read here.
    pub(super) fn read(&self, len: usize) {
        let cost = cost(len);
        self.held.fetch_sub(cost, Ordering::Relaxed);
        if self.due.fetch_add(cost, Ordering::Relaxed) + cost >= STEP_BYTES {
            self.wake.notify_one();
        }
    }

    /// Credit to give back now.
    pub(super) fn take_due(&self) -> Option<u64> {
        if self.due.load(Ordering::Relaxed) < STEP_BYTES {
            return None;
        }
        u64::try_from(self.due.swap(0, Ordering::Relaxed)).ok()
    }

    /// Waits until something may have changed. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.wake.notified().await;
    }
}

fn cost(len: usize) -> i64 {
    i64::try_from(len)
        .unwrap_or(i64::MAX / 4)
        .saturating_add(MESSAGE_COST)
}

#[cfg(test)]
mod tests;
