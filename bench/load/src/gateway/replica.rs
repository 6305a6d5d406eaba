//! Memory and bootstrap of a big replica, in a cluster of its own.
//!
//! etcd's memory is taken right after the fill, the smallest of three members, before anything big has been read from
//! it; the gateway's after its bootstrap has settled. A replica that is not complete is an error, not a good number.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use meridian_etcd_api::etcdserverpb::{RangeRequest, RangeResponse};
use serde_json::json;
use tokio::time::timeout;

use super::{
    Name, Stage,
    scale::{KEY_BYTES, VALUE_BYTES},
    stage::loopback,
};
use crate::{
    connection::{Connection, Endpoint},
    fleet::{cluster::Cluster, servers},
    process::Memory,
    report::{Goal, Report, Row},
    shape::Shape,
};

/// For allocators and collectors to come to rest.
const SETTLE: Duration = Duration::from_secs(3);
/// Twelve times the goal; what takes longer is not worth waiting for.
const BOOTSTRAP_MAX: Duration = Duration::from_secs(120);
/// etcdctl holds the whole answer in memory several times.
const ETCDCTL_MAX: Duration = Duration::from_secs(120);
/// For a million keys; fewer have proportionally less.
const BOOTSTRAP_SECONDS_PER_MILLION: f64 = 10.0;

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    stage.end_fronts();
    let shape = Shape::new(stage.scale.replica_keys, KEY_BYTES, VALUE_BYTES)?;
    let cluster = stage.filled_cluster("big", &shape).await?;
    tokio::time::sleep(SETTLE).await;
    let filled = member_memory(&cluster)?;
    stage.say(format_args!(
        "etcd holds {} keys in {} MiB",
        shape.keys,
        filled.resident_bytes >> 20
    ));
    let gateway = match stage.has(Name::Gateway) {
        true => Some(bootstrap(stage, &cluster, &shape).await?),
        false => None,
    };
    let after = member_memory(&cluster)?;
    let etcdctl = get_all(stage, &cluster).await?;
    stage.say(format_args!("etcdctl get --prefix \"\" took {etcdctl:.2?}"));

    let keys = shape.keys;
    let ours = gateway.map(|(memory, _)| mib(memory));
    let goal = Goal::TimesPeer {
        peer: "etcd",
        factor: 0.5,
    };
    let metric = format!("resident memory, {keys} keys");
    report.rows.push(Row::new(
        metric,
        "MiB",
        ours,
        [("etcd", Some(mib(filled)))],
        goal,
    ));
    let ours = gateway.map(|(_, took)| took.as_secs_f64());
    let goal = Goal::AtMost(BOOTSTRAP_SECONDS_PER_MILLION * keys as f64 / 1e6);
    let peer = [("etcdctl get", Some(etcdctl.as_secs_f64()))];
    report.rows.push(Row::new(
        format!("bootstrap, {keys} keys"),
        "s",
        ours,
        peer,
        goal,
    ));
    report.details.push(json!({
        "metric": "replica", "keys": keys,
        "etcd_after_fill": filled, "etcd_after_bootstrap": after,
        "gateway": gateway.map(|(memory, _)| memory),
    }));
    Ok(())
}

async fn bootstrap(
    stage: &Stage,
    cluster: &Cluster,
    shape: &Shape,
) -> anyhow::Result<(Memory, Duration)> {
    let home = loopback(cluster.leader().port());
    let started = servers::gateway(&stage.bins, home, stage.folder(), BOOTSTRAP_MAX).await;
    let gateway = started.context("bootstrap the big replica")?;
    let took = gateway.started_in();
    stage.say(format_args!("gateway ready after {took:.2?}"));
    let (ours, etcd) = (
        count(gateway.endpoint()).await?,
        count(&cluster.leader().endpoint()).await?,
    );
    let keys = shape.keys;
    ensure!(
        ours == etcd,
        "the gateway says it is ready with {ours} of {etcd} keys ({keys} filled)"
    );
    tokio::time::sleep(SETTLE).await;
    let memory = gateway.id().memory()?;
    stage.say(format_args!(
        "gateway holds {ours} keys in {} MiB",
        memory.resident_bytes >> 20
    ));
    Ok((memory, took))
}

async fn count(endpoint: &Endpoint) -> anyhow::Result<i64> {
    let connection = Connection::open(endpoint).await?;
    let whole = RangeRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        serializable: true,
        count_only: true,
        ..RangeRequest::default()
    };
    let answer: RangeResponse = connection.ask("etcdserverpb.KV/Range", &whole).await?;
    Ok(answer.count)
}

async fn get_all(stage: &Stage, cluster: &Cluster) -> anyhow::Result<Duration> {
    let mut command = tokio::process::Command::new(&stage.bins.etcdctl);
    command
        .args(["--endpoints", &cluster.leader().endpoint().to_string()])
        .args(["--command-timeout", "120s", "get", "--prefix", ""])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let start = Instant::now();
    let child = command.spawn();
    let child = child.with_context(|| format!("start {}", stage.bins.etcdctl.display()))?;
    let ended = timeout(ETCDCTL_MAX, child.wait_with_output()).await;
    let output = ended.context("etcdctl takes too long")??;
    let (status, words) = (output.status, String::from_utf8_lossy(&output.stderr));
    ensure!(
        status.success(),
        "etcdctl get --prefix \"\" ended with {status}: {words}"
    );
    Ok(start.elapsed())
}

/// The member with the least.
fn member_memory(cluster: &Cluster) -> anyhow::Result<Memory> {
    let mut least: Option<Memory> = None;
    for member in cluster.members() {
        let memory = member.id().memory()?;
        if least.is_none_or(|least| memory.resident_bytes < least.resident_bytes) {
            least = Some(memory);
        }
    }
    least.context("a cluster has members")
}

fn mib(memory: Memory) -> f64 {
    memory.resident_bytes as f64 / f64::from(1 << 20)
}
