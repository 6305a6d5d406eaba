//! What a load measured: counts, latency percentiles, errors by kind.
//!
//! A [`Recorder`] is shared by the tasks of one run; an [`Outcome`] is its end, in plain numbers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest latency told apart: a run's grace period is shorter.
const LATENCY_NS_MAX: u64 = 120_000_000_000;

/// Collects what the tasks of one run see.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Mutex<Seen>>);

#[derive(Debug)]
struct Seen {
    latency: Histogram<u64>,
    bytes: u64,
    errors: BTreeMap<String, u64>,
    first_error: Option<String>,
}

impl Default for Recorder {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3);
        Self(Arc::new(Mutex::new(Seen {
            latency: latency.expect("the bounds are constants that hdrhistogram accepts"),
            bytes: 0,
            errors: BTreeMap::new(),
            first_error: None,
        })))
    }
}

impl Recorder {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("nothing panics while it counts")
    }

    /// A finished operation.
    pub fn success(&self, latency: Duration, bytes: u64) {
        let mut seen = self.seen();
        seen.latency
            .saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
        seen.bytes += bytes;
    }

    /// A finished operation that began at `start`.
    pub fn success_of(&self, start: Instant, bytes: u64) {
        self.success(start.elapsed(), bytes);
    }

    /// A failed operation, under a bounded set of kinds, with the words of the first.
    pub fn failure(&self, kind: String, words: impl FnOnce() -> String) {
        let mut seen = self.seen();
        *seen.errors.entry(kind).or_default() += 1;
        if seen.first_error.is_none() {
            seen.first_error = Some(words());
        }
    }

    /// The numbers, for a run that took `elapsed`.
    pub fn finish(&self, elapsed: Duration) -> Outcome {
        let seen = self.seen();
        let ops = seen.latency.len();
        Outcome {
            ops,
            seconds: elapsed.as_secs_f64(),
            ops_per_second: ops as f64 / elapsed.as_secs_f64(),
            bytes_per_op: if ops == 0 {
                0.0
            } else {
                seen.bytes as f64 / ops as f64
            },
            latency: Latency::of(&seen.latency),
            errors: seen.errors.clone(),
            first_error: seen.first_error.clone(),
        }
    }
}

/// What one run measured.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Operations that succeeded.
    pub ops: u64,
    /// How long the run took, the draining of what was in flight included.
    pub seconds: f64,
    /// Successful operations per second.
    pub ops_per_second: f64,
    /// Bytes of answer per operation.
    pub bytes_per_op: f64,
    /// Latency of the successful operations.
    pub latency: Latency,
    /// Failed operations by kind.
    pub errors: BTreeMap<String, u64>,
    /// The words of the first failure.
    pub first_error: Option<String>,
}

impl Outcome {
    /// Failed operations in all.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Mean.
    pub mean_us: f64,
    /// Half are faster.
    pub p50_us: f64,
    /// 90 in 100 are faster.
    pub p90_us: f64,
    /// 99 in 100 are faster.
    pub p99_us: f64,
    /// 999 in 1,000 are faster.
    pub p999_us: f64,
    /// Slowest.
    pub max_us: f64,
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            mean_us: histogram.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

#[cfg(test)]
mod tests;
