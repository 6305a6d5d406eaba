//! Pauses between attempts: exponential, jittered, bounded.
//!
//! Invariant: the n-th pause after a reset lies between half of and the whole of
//! `first * 2^n`, and is never longer than `max`. It does not know what is attempted.

use std::time::Duration;

/// A sequence of growing pauses; one per thing that is retried.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Pauses from about `first` up to `max`, doubling.
    pub fn new(first: Duration, max: Duration) -> Self {
        let ceiling = first.min(max);
        Self {
            first,
            max,
            ceiling,
        }
    }

    /// The pause to make before the next attempt.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = ceiling.saturating_mul(2).min(self.max);
        ceiling.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    /// Makes that pause. Cancel-safe: a dropped pause counts as made.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    /// Starts over, after an attempt that worked.
    pub fn reset(&mut self) {
        self.ceiling = self.first.min(self.max);
    }
}

#[cfg(test)]
mod tests;
