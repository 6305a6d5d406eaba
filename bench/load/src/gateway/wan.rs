//! Linearizable get behind a long round trip: latency, and how many read-index calls the home serves for it.
//!
//! Everybody stands behind the same delay proxy. The home's calls are counted by etcd itself, over all members, so
//! that the gateway's staleness probes are in the number too.

use std::time::Instant;

use super::{
    Name, Stage, Target,
    scale::{IN_FLIGHT, MANY_IN_FLIGHT, ROUND_TRIP},
    series::Series,
    stage::loopback,
    target::series_of,
};
use crate::{
    connection::Endpoint,
    delay::DelayProxy,
    drive::Loop,
    fleet::{cluster::Cluster, servers},
    report::{Goal, Report, Row},
    workload::Operation,
};

/// A round trip and 2 ms.
const P50_MS_MAX: f64 = 82.0;
/// Whatever the number of readers.
const CALLS_PER_SECOND_MAX: f64 = 200.0;

/// The rounds and, per target, the fewest calls a second at the home.
type Measured = (Vec<Series>, Vec<(&'static str, f64)>);

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.start_fronts().await?;
    let cluster = &stage.fronts()?.cluster;
    let leader = cluster.leader();
    let delay = DelayProxy::start(loopback(leader.port()), ROUND_TRIP)?;
    let far = Target {
        name: Name::Etcd,
        endpoint: Endpoint::loopback(delay.address().port()),
        id: leader.id(),
    };
    let mut targets = if stage.has(Name::Etcd) {
        vec![far]
    } else {
        Vec::new()
    };
    let proxy = match stage.has(Name::Proxy) {
        true => Some(servers::proxy(&stage.bins, delay.address(), stage.folder()).await?),
        false => None,
    };
    let gateway = match stage.has(Name::Gateway) {
        true => Some(stage.gateway(delay.address()).await?),
        false => None,
    };
    for (name, front) in [(Name::Proxy, &proxy), (Name::Gateway, &gateway)] {
        let target = front
            .as_ref()
            .map(|front| (front.endpoint().clone(), front.id()));
        targets.extend(target.map(|(endpoint, id)| Target { name, endpoint, id }));
    }
    let mut all = Vec::new();
    for in_flight in [IN_FLIGHT, MANY_IN_FLIGHT] {
        let (series, calls) = rounds(stage, cluster, &targets, in_flight).await?;
        report_rows(report, &series, &calls, in_flight);
        all.extend(series);
    }
    stage.series.extend(all);
    Ok(())
}

async fn rounds(
    stage: &Stage,
    cluster: &Cluster,
    targets: &[Target],
    in_flight: usize,
) -> anyhow::Result<Measured> {
    let metric = format!("linearizable get behind 80 ms, {in_flight} in flight");
    let mut series = series_of(&metric, targets);
    let mut fewest: Vec<_> = targets
        .iter()
        .map(|target| (target.name.text(), f64::INFINITY))
        .collect();
    for round in 1..=stage.scale.rounds {
        for ((target, series), fewest) in targets.iter().zip(&mut series).zip(&mut fewest) {
            let (start, before) = (Instant::now(), cluster.range_calls().await?);
            let how = Loop::Closed { in_flight };
            let sample = stage
                .round(target, cluster, Operation::GetLinearizable, how)
                .await?;
            // Warm-up and connecting are in the span, as are their calls.
            let calls = cluster.range_calls().await? - before;
            let rate = calls / start.elapsed().as_secs_f64();
            stage.say_sample(&metric, round, target, &sample);
            stage.say(format_args!(
                "  the home answered {rate:.0} KV.Range calls/s"
            ));
            fewest.1 = fewest.1.min(rate);
            series.samples.push(sample);
        }
    }
    Ok((series, fewest))
}

fn report_rows(
    report: &mut Report,
    series: &[Series],
    calls: &[(&'static str, f64)],
    in_flight: usize,
) {
    let p50 = |name: &'static str| {
        let of_target = series.iter().find(|series| series.target == name);
        let best = of_target.and_then(|series| series.best(|sample| sample.latency.p50_us));
        (name, best.map(|us| us / 1e3))
    };
    let metric = format!("linearizable get behind 80 ms, {in_flight} in flight, p50");
    let peers = ["etcd", "grpc-proxy"].map(p50);
    let goal = Goal::AtMost(P50_MS_MAX);
    report
        .rows
        .push(Row::new(metric, "ms", p50("gateway").1, peers, goal));
    if in_flight == MANY_IN_FLIGHT {
        let rate = |name| {
            calls
                .iter()
                .find(|(target, _)| *target == name)
                .map(|(_, rate)| *rate)
        };
        let metric = format!("read-index calls at the home, {in_flight} in flight");
        let peers = ["etcd", "grpc-proxy"].map(|name| (name, rate(name)));
        let goal = Goal::AtMost(CALLS_PER_SECOND_MAX);
        report
            .rows
            .push(Row::new(metric, "calls/s", rate("gateway"), peers, goal));
    }
}
