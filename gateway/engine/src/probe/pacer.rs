//! When the next probe may leave: few calls for the home, little waiting for reads.
//!
//! Pure. A token bucket of [`PER_ROUND_TRIP`] probes per round trip, and before each departure a
//! short linger in which a burst of reads gathers. Behind 80 ms this is at most 188 probes a second
//! whatever the number of reads, and reads that were answered together ask together again, so that
//! they wait for little more than the linger.

use std::time::{Duration, Instant};

/// Probes that may leave within one round trip.
const PER_ROUND_TRIP: u32 = 15;

/// However near the home is, the bucket gains no more than one probe in this time: 2,000 a second.
const REFILL_MIN: Duration = Duration::from_micros(500);

/// The linger is this part of a round trip, and never more than [`LINGER_MAX`]: in that time some
/// 50 reads that were answered together have been sent again and have arrived (10 µs each).
const LINGER_PART: u32 = 160;
const LINGER_MAX: Duration = Duration::from_micros(500);

/// Probes left in the bucket below which a probe lingers.
const LINGER_BELOW: f64 = PER_ROUND_TRIP as f64 / 2.0;

/// Waits shorter than this are a yield: handing them to a thread would take as long.
const YIELD_BELOW: Duration = Duration::from_micros(100);

#[derive(Debug)]
pub(crate) struct Pacer {
    round_trip: Duration,
    tokens: f64,
    refilled: Instant,
    last_departure: Option<Instant>,
    /// Since when a probe has been wanted.
    wanted: Option<Instant>,
}

impl Pacer {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            round_trip: REFILL_MIN * PER_ROUND_TRIP,
            tokens: f64::from(PER_ROUND_TRIP),
            refilled: now,
            last_departure: None,
            wanted: None,
        }
    }

    /// A probe took this long; smoothed by eighths, as TCP smooths its round trip (RFC 6298).
    pub(crate) fn measured(&mut self, took: Duration) {
        self.round_trip = (self.round_trip * 7 + took) / 8;
    }

    /// How much longer a probe that is wanted now, and was since the first call after the last
    /// departure, has to wait.
    pub(crate) fn wait(&mut self, now: Instant) -> Duration {
        self.refill(now);
        let waited = now.saturating_duration_since(*self.wanted.get_or_insert(now));
        let missing = (1.0 - self.tokens).max(0.0);
        let for_token = self.refill_interval().mul_f64(missing);
        // A burst is gathered only when probes are getting scarce.
        let linger = match self.tokens < LINGER_BELOW {
            true => (self.round_trip / LINGER_PART).min(LINGER_MAX),
            false => Duration::ZERO,
        };
        let wait = for_token.max(linger.saturating_sub(waited));
        if wait < YIELD_BELOW {
            Duration::ZERO
        } else {
            wait
        }
    }

    /// A probe left.
    pub(crate) fn departed(&mut self, now: Instant) {
        self.refill(now);
        self.tokens = (self.tokens - 1.0).max(-1.0);
        self.last_departure = Some(now);
        self.wanted = None;
    }

    /// When the last probe left; none if none has.
    pub(crate) fn last_departure(&self) -> Option<Instant> {
        self.last_departure
    }

    fn refill_interval(&self) -> Duration {
        (self.round_trip / PER_ROUND_TRIP).max(REFILL_MIN)
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.refilled).as_secs_f64()
            / self.refill_interval().as_secs_f64();
        self.tokens = (self.tokens + gained).min(f64::from(PER_ROUND_TRIP));
        self.refilled = now;
    }
}
