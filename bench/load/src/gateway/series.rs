//! The rounds of one measurement of one target, and which of them counts.

use serde::Serialize;

use crate::{outcome::Latency, process::Memory, report::number};

/// One round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sample {
    /// Operations, or delivered events, that were counted.
    pub(super) ops: u64,
    /// Of those, per second.
    pub(super) ops_per_second: f64,
    /// Their latency.
    pub(super) latency: Latency,
    /// Failed operations or missing events.
    pub(super) failed: u64,
    /// CPU of the serving process per operation, in microseconds.
    pub(super) cpu_us: f64,
    /// CPU of all members of the home per operation, the serving one included.
    pub(super) home_cpu_us: f64,
    /// CPU of the generator per operation.
    pub(super) generator_cpu_us: f64,
    /// Memory of the serving process afterwards.
    pub(super) memory: Memory,
}

/// All rounds of one measurement of one target.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Series {
    /// What was measured.
    pub(super) metric: String,
    /// Of whom.
    pub(super) target: &'static str,
    /// The rounds in order.
    pub(super) samples: Vec<Sample>,
}

impl Series {
    /// The columns of the details.
    pub(super) const HEAD: [&'static str; 11] = [
        "measurement",
        "target",
        "ops/s",
        "p50 µs",
        "p99 µs",
        "p999 µs",
        "CPU µs best",
        "CPU µs median",
        "home CPU µs",
        "RSS MiB",
        "failed",
    ];

    /// The least of a number over the rounds: the round that neighbours disturbed least.
    pub(super) fn best(&self, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        self.samples.iter().map(of).min_by(f64::total_cmp)
    }

    /// The middle of a number over the rounds.
    pub(super) fn median(&self, of: impl Fn(&Sample) -> f64) -> Option<f64> {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// One line of the details: medians, except where the head says best.
    pub(super) fn cells(&self) -> [String; 11] {
        let text = |value: Option<f64>| value.map_or("-".to_owned(), number);
        let failed: u64 = self.samples.iter().map(|sample| sample.failed).sum();
        [
            self.metric.clone(),
            self.target.to_owned(),
            text(self.median(|sample| sample.ops_per_second)),
            text(self.median(|sample| sample.latency.p50_us)),
            text(self.median(|sample| sample.latency.p99_us)),
            text(self.median(|sample| sample.latency.p999_us)),
            text(self.best(|sample| sample.cpu_us)),
            text(self.median(|sample| sample.cpu_us)),
            text(self.median(|sample| sample.home_cpu_us)),
            text(self.median(|sample| sample.memory.resident_bytes as f64 / f64::from(1 << 20))),
            failed.to_string(),
        ]
    }
}

/// The best CPU per operation of a target among `series`.
pub(super) fn best_cpu(series: &[Series], target: &str) -> Option<f64> {
    let of_target = series.iter().find(|series| series.target == target)?;
    of_target.best(|sample| sample.cpu_us)
}

#[cfg(test)]
mod tests;
