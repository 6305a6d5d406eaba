//! Puts through a gateway or a proxy against puts at the member they forward to, with no long wire between.
//!
//! Latency is compared twice: at a fixed low rate, where it is the hop's own, and with 64 in flight, where the members,
//! the gateway and the generator also compete for the same cores. Each round's difference is taken inside the round.

use super::{
    Stage,
    scale::{IN_FLIGHT, PUT_RATE},
    series::{Series, best_cpu},
    target::series_of,
};
use crate::{
    drive::Loop,
    report::{Goal, Report, Row},
    workload::Operation,
};

const ADDED_MS_MAX: f64 = 0.4;
const CPU_US_MAX: f64 = 25.0;

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.start_fronts().await?;
    let paced = format!("put, {PUT_RATE}/s");
    let open = Loop::Open {
        rate: PUT_RATE,
        in_flight_max: IN_FLIGHT,
    };
    let series = rounds(stage, &paced, open).await?;
    added(report, &paced, &series);
    stage.series.extend(series);

    let full = format!("put, {IN_FLIGHT} in flight");
    let series = rounds(
        stage,
        &full,
        Loop::Closed {
            in_flight: IN_FLIGHT,
        },
    )
    .await?;
    added(report, &full, &series);
    let cpu = |name: &'static str| (name, best_cpu(&series, name));
    let (metric, goal) = (format!("{full}, CPU per op"), Goal::AtMost(CPU_US_MAX));
    let peers = ["etcd", "grpc-proxy"].map(cpu);
    report
        .rows
        .push(Row::new(metric, "µs", cpu("gateway").1, peers, goal));
    stage.series.extend(series);
    Ok(())
}

async fn rounds(stage: &Stage, metric: &str, how: Loop) -> anyhow::Result<Vec<Series>> {
    let fronts = stage.fronts()?;
    let leader = fronts.cluster.leader();
    let targets = fronts.targets(&stage.options, (leader.endpoint(), leader.id()));
    let mut series = series_of(metric, &targets);
    for round in 1..=stage.scale.rounds {
        for (target, series) in targets.iter().zip(&mut series) {
            let sample = stage
                .round(target, &fronts.cluster, Operation::Put, how)
                .await?;
            stage.say_sample(metric, round, target, &sample);
            series.samples.push(sample);
        }
    }
    Ok(series)
}

fn added(report: &mut Report, metric: &str, series: &[Series]) {
    let added = |name: &'static str| (name, added_ms(series, name));
    let metric = format!("{metric}, p50 added to direct");
    let goal = Goal::AtMost(ADDED_MS_MAX);
    report.rows.push(Row::new(
        metric,
        "ms",
        added("gateway").1,
        [added("grpc-proxy")],
        goal,
    ));
}

/// The median over the rounds of a target's p50 minus etcd's in the same round.
fn added_ms(series: &[Series], name: &str) -> Option<f64> {
    let of = |name| series.iter().find(|series| series.target == name);
    let (through, direct) = of(name).zip(of("etcd"))?;
    let pairs = through.samples.iter().zip(&direct.samples);
    let mut added: Vec<f64> = pairs
        .map(|(through, direct)| (through.latency.p50_us - direct.latency.p50_us) / 1e3)
        .collect();
    added.sort_by(f64::total_cmp);
    added.get(added.len() / 2).copied()
}
