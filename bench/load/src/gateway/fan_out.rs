//! Watch fan-out: CPU per delivered event, the same events for every target.
//!
//! The writer puts at the leader; etcd's watchers hang on a follower, so that its number is free of the write path.

use super::{
    Stage, Target,
    scale::{CONNECTIONS, FAN_OUT_RATE, VALUE_BYTES, WATCHERS},
    series::{Sample, Series, best_cpu},
    target::{sample, series_of, spent},
};
use crate::{
    fan_out::{FanOut, FanOutSession, WriteRate},
    report::{Goal, Report, Row},
};

const METRIC: &str = "watch fan-out, 200 watchers";

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.start_fronts().await?;
    let series = rounds(stage).await?;
    let cpu = |name: &'static str| (name, best_cpu(&series, name));
    let peers = ["etcd", "grpc-proxy"].map(cpu);
    for (peer, _) in peers {
        let goal = Goal::TimesPeer {
            peer,
            factor: 1.0 / 6.0,
        };
        let metric = format!("{METRIC}, CPU per event");
        report
            .rows
            .push(Row::new(metric, "µs", cpu("gateway").1, peers, goal));
    }
    let lost = |name| {
        let of_target = series.iter().find(|series| series.target == name)?;
        Some(
            of_target
                .samples
                .iter()
                .map(|sample| sample.failed)
                .sum::<u64>() as f64,
        )
    };
    let peers = ["etcd", "grpc-proxy"].map(|name| (name, lost(name)));
    let metric = format!("{METRIC}, events missing after 10 s");
    report.rows.push(Row::new(
        metric,
        "events",
        lost("gateway"),
        peers,
        Goal::AtMost(0.0),
    ));
    stage.series.extend(series);
    Ok(())
}

async fn rounds(stage: &Stage) -> anyhow::Result<Vec<Series>> {
    let follower = stage.fronts()?.cluster.follower();
    let etcd = (follower.endpoint(), follower.id());
    let targets = stage.fronts()?.targets(&stage.options, etcd);
    let mut series = series_of(METRIC, &targets);
    for number in 1..=stage.scale.rounds {
        for (target, series) in targets.iter().zip(&mut series) {
            let sample = round(stage, target).await?;
            stage.say_sample(METRIC, number, target, &sample);
            series.samples.push(sample);
        }
    }
    Ok(series)
}

async fn round(stage: &Stage, target: &Target) -> anyhow::Result<Sample> {
    let cluster = &stage.fronts()?.cluster;
    let mut session = FanOutSession::open(FanOut {
        endpoint: target.endpoint.clone(),
        writer: cluster.leader().endpoint(),
        watchers: WATCHERS,
        connections: CONNECTIONS,
        keys: 1000,
        value_bytes: VALUE_BYTES,
    })
    .await?;
    let rate = WriteRate::PerSecond(FAN_OUT_RATE);
    session.run(rate, stage.scale.warmup).await?;
    let before = spent(target, cluster)?;
    let outcome = session.run(rate, stage.scale.duration).await?;
    let after = spent(target, cluster)?;
    let mut sample = sample(target, outcome.events, outcome.seconds, before, after)?;
    // More than expected is as wrong as fewer.
    let missing = outcome.events_expected.abs_diff(outcome.events);
    (sample.latency, sample.failed) = (outcome.latency, missing);
    Ok(sample)
}
