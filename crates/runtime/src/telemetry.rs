//! The metrics recorder: what rooms count, as Prometheus text.
//!
//! Invariant: one recorder per process. Rooms count through the `metrics` crate and know nothing
//! of this. Histograms are in seconds, with fixed buckets, so that a sum over nodes makes sense.

use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::TaskGroup;

mod process;

/// From a local read (tens of microseconds) to a call that is given up (seconds).
const BUCKETS_SECONDS: [f64; 15] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1.0, 5.0,
];

/// Histogram samples wait in memory until they are folded; every five seconds keeps them few.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A second recorder was to be installed.
#[derive(Debug, thiserror::Error)]
#[error("install the metrics recorder")]
pub struct RecorderError(#[from] metrics_exporter_prometheus::BuildError);

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes the process's recorder; `node` and `region` become labels of every sample.
    ///
    /// # Errors
    /// [`RecorderError`] when there is one already.
    pub fn install(node: &str, region: &str) -> Result<Self, RecorderError> {
        let builder = PrometheusBuilder::new()
            .set_buckets(&BUCKETS_SECONDS)?
            .add_global_label("node", node)
            .add_global_label("region", region);
        Ok(Self {
            handle: builder.install_recorder()?,
        })
    }

    /// Keeps the recorder's memory small, until the group stops.
    pub fn start_upkeep(&self, tasks: &TaskGroup) {
        let handle = self.handle.clone();
        let token = tasks.token();
        tasks.spawn_permanent("metrics upkeep", async move {
            let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    _ = ticks.tick() => handle.run_upkeep(),
                }
            }
        });
    }

    /// Everything counted, as Prometheus text, with the process's own figures.
    pub fn render(&self) -> String {
        let mut text = self.handle.render();
        process::append(&mut text);
        text
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests;
