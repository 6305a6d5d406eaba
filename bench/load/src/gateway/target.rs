//! Someone to measure, and what one round cost: processor time and memory of its process and of the whole home.

use std::time::Duration;

use super::{
    Name,
    series::{Sample, Series},
};
use crate::{connection::Endpoint, fleet::cluster::Cluster, outcome::Latency, process::ProcessId};

/// Someone to measure.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) name: Name,
    pub(super) endpoint: Endpoint,
    pub(super) id: ProcessId,
}

/// Processor time at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    target: Duration,
    home: Duration,
    generator: Duration,
}

pub(super) fn spent(target: &Target, cluster: &Cluster) -> anyhow::Result<Spent> {
    let generator = ProcessId::own().cpu()?;
    Ok(Spent {
        target: target.id.cpu()?,
        home: cluster.cpu()?,
        generator,
    })
}

/// A sample without latency, which differs by kind.
pub(super) fn sample(
    target: &Target,
    ops: u64,
    seconds: f64,
    before: Spent,
    after: Spent,
) -> anyhow::Result<Sample> {
    let per_op = |time: Duration| time.as_secs_f64() * 1e6 / ops.max(1) as f64;
    Ok(Sample {
        ops,
        ops_per_second: ops as f64 / seconds,
        latency: Latency::default(),
        failed: 0,
        cpu_us: per_op(after.target - before.target),
        home_cpu_us: per_op(after.home - before.home),
        generator_cpu_us: per_op(after.generator - before.generator),
        memory: target.id.memory()?,
    })
}

/// A series per target, in the order given.
pub(super) fn series_of(metric: &str, targets: &[Target]) -> Vec<Series> {
    let empty = |target: &Target| Series {
        metric: metric.to_owned(),
        target: target.name.text(),
        samples: Vec::new(),
    };
    targets.iter().map(empty).collect()
}
