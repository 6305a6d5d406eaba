//! What becomes of a packet on one way: when it arrives, and whether at all.
//!
//! A plain machine: the time and the conditions come in, chances come from its seed. It keeps no packets.

use std::time::{Duration, Instant};

use super::conditions::{Conditions, Gate};

/// What a router before a slow line keeps waiting, in time on that line; what comes on top is dropped.
const BUFFER: Duration = Duration::from_millis(250);

/// A packet that is overtaken arrives this much later: several packets' time on any line worth testing.
const OVERTAKEN_BY: Duration = Duration::from_millis(3);

/// What becomes of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It does not arrive.
    Lost,
    /// It arrives then.
    Once(Instant),
    /// It arrives then, and again.
    Twice(Instant, Instant),
}

/// One way.
#[derive(Debug)]
pub(super) struct Line {
    chances: fastrand::Rng,
    /// When the last byte of what was let on it so far has left the slow part.
    free_at: Option<Instant>,
    /// When the last packet in order arrives.
    last_due: Option<Instant>,
}

impl Line {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            chances: fastrand::Rng::with_seed(seed),
            free_at: None,
            last_due: None,
        }
    }

    /// Lets one datagram of `bytes` on the way.
    pub(super) fn pass(&mut self, now: Instant, bytes: usize, is: &Conditions) -> Passage {
        if is.gate != Gate::Open || self.happens(is.loss) {
            return Passage::Lost;
        }
        let Some(sent) = self.through_the_narrows(now, bytes, is) else {
            return Passage::Lost;
        };
        let due = self.arrival(sent, is);
        if self.happens(is.duplicate) {
            return Passage::Twice(due, due);
        }
        if self.happens(is.reorder) {
            return Passage::Once(due + OVERTAKEN_BY);
        }
        self.last_due = Some(due);
        Passage::Once(due)
    }

    /// Whether one of a train of packets that arrive at one time is lost.
    pub(super) fn loses(&mut self, is: &Conditions) -> bool {
        is.gate != Gate::Open || self.happens(is.loss)
    }

    /// When what is sent at `sent` arrives, if nothing happens to it.
    pub(super) fn arrival(&mut self, sent: Instant, is: &Conditions) -> Instant {
        let jitter = if is.jitter.is_zero() {
            Duration::ZERO
        } else {
            is.jitter.mul_f64(self.chances.f64())
        };
        let due = sent + is.delay + jitter;
        self.last_due.map_or(due, |last| due.max(last))
    }

    /// When a packet has left the slow part; `None` when too many wait before it.
    fn through_the_narrows(
        &mut self,
        now: Instant,
        bytes: usize,
        is: &Conditions,
    ) -> Option<Instant> {
        let Some(rate) = is.bytes_per_second else {
            return Some(now);
        };
        let start = self.free_at.map_or(now, |free| free.max(now));
        if start - now > BUFFER {
            return None;
        }
        let left = start + Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
        self.free_at = Some(left);
        Some(left)
    }

    pub(super) fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.chances.f64() < share
    }
}
