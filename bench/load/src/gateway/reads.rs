//! Serializable point get and range of 100, against etcd, grpc-proxy and the echo.

use super::{
    Name, Stage, Target,
    scale::IN_FLIGHT,
    series::{Series, best_cpu},
    target::series_of,
};
use crate::{
    drive::Loop,
    fleet::servers,
    report::{Goal, Report, Row},
    workload::Operation,
};

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    const GET: [(&str, f64); 3] = [
        ("etcd", 1.0 / 3.0),
        ("grpc-proxy", 1.0 / 7.0),
        ("h2-echo", 2.0),
    ];
    const RANGE: [(&str, f64); 1] = [("etcd", 0.25)];
    let get = "serializable point get, CPU per op";
    one(stage, report, Operation::GetSerializable, get, &GET).await?;
    one(
        stage,
        report,
        Operation::Range100,
        "range of 100, CPU per op",
        &RANGE,
    )
    .await
}

async fn one(
    stage: &mut Stage,
    report: &mut Report,
    operation: Operation,
    metric: &str,
    goals: &[(&'static str, f64)],
) -> anyhow::Result<()> {
    stage.start_fronts().await?;
    let series = rounds(stage, operation).await?;
    let cpu = |name: &'static str| (name, best_cpu(&series, name));
    let peers = ["etcd", "grpc-proxy", "h2-echo"].map(cpu);
    for (peer, factor) in goals {
        let goal = Goal::TimesPeer {
            peer,
            factor: *factor,
        };
        report
            .rows
            .push(Row::new(metric, "µs", cpu("gateway").1, peers, goal));
    }
    stage.series.extend(series);
    Ok(())
}

async fn rounds(stage: &Stage, operation: Operation) -> anyhow::Result<Vec<Series>> {
    let fronts = stage.fronts()?;
    let leader = fronts.cluster.leader();
    let mut targets = fronts.targets(&stage.options, (leader.endpoint(), leader.id()));
    let echo = match stage.has(Name::Echo) {
        true => {
            let bytes = stage.answer_bytes(&leader.endpoint(), operation).await?;
            stage.say(format_args!("echo answers {bytes} bytes, as etcd does"));
            let style = stage.options.echo_style;
            Some(servers::echo(&stage.bins, bytes, style, stage.folder()).await?)
        }
        false => None,
    };
    targets.extend(echo.as_ref().map(|echo| Target {
        name: Name::Echo,
        endpoint: echo.endpoint().clone(),
        id: echo.id(),
    }));
    let mut series = series_of(&operation.to_string(), &targets);
    for round in 1..=stage.scale.rounds {
        for (target, series) in targets.iter().zip(&mut series) {
            let how = Loop::Closed {
                in_flight: IN_FLIGHT,
            };
            let sample = stage.round(target, &fronts.cluster, operation, how).await?;
            stage.say_sample(&operation.to_string(), round, target, &sample);
            series.samples.push(sample);
        }
    }
    Ok(series)
}
