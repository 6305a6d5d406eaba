//! How much is measured: keys, rounds and times, in full and with `--quick`.

use std::time::Duration;

/// Sizes of one comparison.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Keys behind reads, puts and the WAN.
    pub(super) keys: u64,
    /// Keys of the big replica.
    pub(super) replica_keys: u64,
    /// Rounds of every measurement.
    pub(super) rounds: usize,
    /// Before every measurement, not counted.
    pub(super) warmup: Duration,
    /// One measurement: CPU time counts in 10 ms, so a second of it is 1 %.
    pub(super) duration: Duration,
}

/// Length of a key.
pub(super) const KEY_BYTES: usize = 42;
/// Length of a value.
pub(super) const VALUE_BYTES: usize = 256;
/// Operations in flight.
pub(super) const IN_FLIGHT: usize = 64;
/// Connections.
pub(super) const CONNECTIONS: usize = 8;
/// Watchers of the fan-out.
pub(super) const WATCHERS: usize = 200;
/// Puts per second of the fan-out: 60,000 events, the same work for every target and below all their limits.
pub(super) const FAN_OUT_RATE: f64 = 300.0;
/// The long round trip.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(80);
/// Concurrent reads for the count of read-index calls.
pub(super) const MANY_IN_FLIGHT: usize = 1000;
/// Puts per second where latency is compared: below what three members on two cores and one disk can do.
pub(super) const PUT_RATE: f64 = 200.0;

impl Scale {
    /// The full comparison: some 12 minutes.
    pub(super) const FULL: Self = Self {
        keys: 100_000,
        replica_keys: 1_000_000,
        rounds: 5,
        warmup: Duration::from_secs(1),
        duration: Duration::from_secs(4),
    };
    /// The slice for CI: some 3 minutes.
    pub(super) const QUICK: Self = Self {
        keys: 100_000,
        replica_keys: 100_000,
        rounds: 2,
        warmup: Duration::from_millis(500),
        duration: Duration::from_millis(1500),
    };
}
