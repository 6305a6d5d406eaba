//! N consumers in a region behind 80 ms: our members, and as many grpc-proxies.
//!
//! Both kinds stand behind the same emulator, which counts what is put on the wire: whole datagrams with 28 bytes of
//! headers for us, both directions and acknowledgements included; for TCP payload with 52 bytes per segment of 1,448,
//! acknowledgements not included, which favours the peer.

use std::time::{Duration, Instant};

use anyhow::Context;
use meridian_tests::wan::{Conditions, Load, UdpWan, Wan};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{
    region::settle,
    stage::{Stage, ms, seen_by},
    timeline::{Lateness, Timeline, Times},
    watch::{FeedWatch, GrpcWatch},
};
use crate::{
    connection::Endpoint,
    fleet::servers::{self, Front},
    process::ProcessId,
    report::{Goal, Report, Row, number},
};

/// The wire between the home and the region.
pub(super) const ROUND_TRIP: Duration = Duration::from_millis(80);
/// One-way delay and 15 ms.
const P99_MS_MAX: f64 = 55.0;
/// One copy times compression.
const BYTES_FACTOR: f64 = 1.0 / 40.0;
/// More processes than this do not fit: direct watches then.
const PROXIES_MAX: usize = 10;
/// Of our members, how many are processes: the delegate and one member.
const PROCESSES_MAX: usize = 2;
/// Before every measurement.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long an unwritten wire is listened to.
const IDLE: Duration = Duration::from_secs(2);
/// Puts in flight of the burst.
const BURST_IN_FLIGHT: usize = 64;
/// How long the burst takes.
const BURST: Duration = Duration::from_secs(3);

/// What one kind with N consumers came to.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Outcome {
    /// Bytes on the wire per revision, from the home and to it.
    down_bytes: f64,
    up_bytes: f64,
    /// Datagrams or segments per revision.
    down_packets: f64,
    up_packets: f64,
    /// Payload alone.
    payload_bytes: f64,
    /// Bytes a second while nothing is written.
    idle_bytes: f64,
    /// CPU per revision of the hub, and of the hub with the home.
    hub_cpu_us: f64,
    home_cpu_us: f64,
    paced: Lateness,
    burst: Lateness,
    burst_rate: f64,
    burst_bytes: f64,
}

impl Outcome {
    fn wire_bytes(&self) -> f64 {
        self.down_bytes + self.up_bytes
    }
}

/// Whose counters and clocks are read.
struct Meters<'a> {
    /// From the home, to the home.
    wire: &'a dyn Fn() -> [Load; 2],
    hub: Option<ProcessId>,
    home: ProcessId,
}

#[derive(Clone, Copy)]
struct Reading {
    wire: [Load; 2],
    hub: Duration,
    home: Duration,
    at: Instant,
}

impl Meters<'_> {
    fn read(&self) -> anyhow::Result<Reading> {
        Ok(Reading {
            wire: (self.wire)(),
            hub: self.hub.map(ProcessId::cpu).transpose()?.unwrap_or_default(),
            home: self.home.cpu()?,
            at: Instant::now(),
        })
    }
}

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for consumers in stage.options.consumers() {
        let ours = members(stage, consumers).await.with_context(|| format!("{consumers} members"))?;
        let peers = match stage.options.no_peers {
            true => None,
            false => Some(proxies(stage, consumers).await.with_context(|| format!("{consumers} proxies"))?),
        };
        all.push((consumers, ours, peers));
    }
    report_rows(report, &all);
    Ok(())
}

/// Who is measured: the first watcher stands for the delegate.
async fn drive<'a>(
    stage: &mut Stage,
    timeline: &Timeline,
    watchers: &[&'a Times],
    late: impl Fn(&Timeline, i64, i64) -> Lateness,
    meters: Meters<'_>,
) -> anyhow::Result<Outcome> {
    let (rate, duration) = (stage.options.rate, stage.options.duration());
    let quiet = meters.read()?;
    tokio::time::sleep(IDLE).await;
    let listened = meters.read()?;
    let warm = stage.home.paced(timeline, rate, WARM_UP).await?;
    seen_by(watchers.iter().copied(), &warm).await.context("the warm-up does not arrive")?;

    let before = meters.read()?;
    let written = stage.home.paced(timeline, rate, duration).await?;
    seen_by(watchers.iter().copied(), &written).await;
    let after = meters.read()?;

    let burst = stage.home.burst(timeline, BURST_IN_FLIGHT, BURST).await?;
    seen_by(watchers.iter().copied(), &burst).await;
    let last = meters.read()?;

    let revisions = written.revisions();
    let [down, up] = [0, 1].map(|way| after.wire[way] - before.wire[way]);
    let per = |count: u64| count as f64 / revisions;
    let cpu = |spent: Duration| spent.as_secs_f64() * 1e6 / revisions;
    let total = |from: &Reading, to: &Reading| {
        let way = |way: usize| (to.wire[way] - from.wire[way]).wire_bytes;
        (way(0) + way(1)) as f64
    };
    Ok(Outcome {
        down_bytes: per(down.wire_bytes),
        up_bytes: per(up.wire_bytes),
        down_packets: per(down.packets),
        up_packets: per(up.packets),
        payload_bytes: per(down.bytes + up.bytes),
        idle_bytes: total(&quiet, &listened) / (listened.at - quiet.at).as_secs_f64(),
        hub_cpu_us: cpu(after.hub - before.hub),
        home_cpu_us: cpu(after.home - before.home),
        paced: late(timeline, written.from, written.to),
        burst: late(timeline, burst.from, burst.to),
        burst_rate: burst.revisions() / burst.seconds,
        burst_bytes: total(&after, &last) / burst.revisions(),
    })
}

async fn members(stage: &mut Stage, consumers: usize) -> anyhow::Result<Outcome> {
    let who = format!("{consumers} members");
    let hub = stage.ground.hub(&format!("hub-{consumers}"), stage.home.client()).await?;
    let wan = UdpWan::start(hub.listen, 1)?;
    wan.set(Conditions::half_of(ROUND_TRIP));
    let region = format!("eu-{consumers}");
    let mut processes = Vec::new();
    for n in 0..consumers.min(PROCESSES_MAX) {
        let name = format!("gw-{n}");
        processes.push(stage.ground.node(&region, &name, wan.address()).await?);
    }
    let rest = consumers - processes.len();
    let inside = stage.ground.nodes_inside(&region, rest, wan.address())?;
    let timeline = stage.timeline().await?;
    let from = timeline.committed().highest() + 1;
    let mut doors = Vec::new();
    for process in &processes {
        doors.push(GrpcWatch::open(&process.endpoint(), timeline.watcher()).await?);
    }
    let feeds: Vec<_> = inside
        .feeds()
        .map(|feed| FeedWatch::open(feed, from, timeline.watcher()))
        .collect();
    settle(&processes, Some(&inside)).await?;
    stage.say(format_args!("{who}: settled"));

    let watchers: Vec<&Times> = doors
        .iter()
        .map(|door| &*door.times)
        .chain(feeds.iter().map(|feed| &*feed.times))
        .collect();
    let wire = || [wan.back().sent, wan.there().sent];
    let meters = Meters {
        wire: &wire,
        hub: Some(hub.id()),
        home: stage.home.id(),
    };
    let all = |timeline: &Timeline, from, to| {
        let doors = doors.iter().map(|door| &door.times);
        timeline.lateness(doors.chain(feeds.iter().map(|feed| &feed.times)), from, to)
    };
    let delegate = hub.id();
    let outcome = drive(stage, &timeline, &watchers, all, meters).await?;
    let _ = delegate;
    note(stage, &who, &outcome);
    let broken: u64 = feeds.iter().map(FeedWatch::broken).sum();
    stage.note("consumers", &who, "feeds broken off", broken);
    settle(&processes, Some(&inside)).await.context("after the run")?;
    let link = processes[0].link().await?;
    let told = format!(
        "RTT {} · compression {}",
        link["rtt"], link["compression_ratio"]
    );
    stage.note("consumers", &who, "delegate's own words", told);
    Ok(outcome)
}

async fn proxies(stage: &mut Stage, consumers: usize) -> anyhow::Result<Outcome> {
    // Of its own, so that a busy runtime of the nodes delays nothing here.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let runtime = Background(Some(runtime));
    let outcome = behind(stage, consumers, &runtime).await;
    drop(runtime);
    outcome
}

/// A runtime that can be dropped inside another.
struct Background(Option<Runtime>);

impl Background {
    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("taken by drop alone")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn behind(
    stage: &mut Stage,
    consumers: usize,
    runtime: &Background,
) -> anyhow::Result<Outcome> {
    let direct = consumers > PROXIES_MAX;
    let who = match direct {
        true => format!("{consumers} direct watches"),
        false => format!("{consumers} grpc-proxies"),
    };
    let wan = runtime.runtime().spawn(Wan::start(stage.home.client())).await??;
    wan.set(Conditions::half_of(ROUND_TRIP));
    let mut proxies = Vec::<Front>::new();
    let mut endpoints = vec![Endpoint::loopback(wan.address().port()); consumers];
    if !direct {
        endpoints.clear();
        for n in 0..consumers {
            let folder = stage.folder().join(format!("proxy-{consumers}-{n}"));
            std::fs::create_dir_all(&folder)?;
            let proxy = servers::proxy(&stage.bins, wan.address(), &folder).await?;
            endpoints.push(proxy.endpoint().clone());
            proxies.push(proxy);
        }
    }
    let timeline = stage.timeline().await?;
    let mut doors = Vec::new();
    for endpoint in &endpoints {
        doors.push(GrpcWatch::open(endpoint, timeline.watcher()).await?);
    }
    let watchers: Vec<&Times> = doors.iter().map(|door| &*door.times).collect();
    let wire = || [wan.back().sent, wan.there().sent];
    let meters = Meters {
        wire: &wire,
        hub: None,
        home: stage.home.id(),
    };
    let all = |timeline: &Timeline, from, to| {
        timeline.lateness(doors.iter().map(|door| &door.times), from, to)
    };
    let outcome = drive(stage, &timeline, &watchers, all, meters).await?;
    note(stage, &who, &outcome);
    Ok(outcome)
}

fn note(stage: &mut Stage, who: &str, outcome: &Outcome) {
    let Outcome {
        down_bytes,
        up_bytes,
        down_packets,
        up_packets,
        payload_bytes,
        idle_bytes,
        hub_cpu_us,
        home_cpu_us,
        paced,
        burst,
        burst_rate,
        burst_bytes,
    } = outcome;
    let lines = [
        (
            "WAN bytes per revision",
            format!(
                "{} = {} down ({} packets) + {} up ({} packets), payload {}",
                number(down_bytes + up_bytes),
                number(*down_bytes),
                number(*down_packets),
                number(*up_bytes),
                number(*up_packets),
                number(*payload_bytes),
            ),
        ),
        ("WAN bytes a second when idle", number(*idle_bytes)),
        (
            "CPU per revision",
            format!("hub {} µs, home {} µs", number(*hub_cpu_us), number(*home_cpu_us)),
        ),
        (
            "commit to watcher",
            format!("{}, {} missing, {} twice", ms(&paced.latency), paced.missing, paced.again),
        ),
        (
            "burst",
            format!(
                "{} rev/s, {} B/rev, {}, {} missing",
                number(*burst_rate),
                number(*burst_bytes),
                ms(&burst.latency),
                burst.missing
            ),
        ),
    ];
    for (what, value) in lines {
        stage.note("consumers", who, what, value);
    }
}

fn report_rows(report: &mut Report, all: &[(usize, Outcome, Option<Outcome>)]) {
    const PEER: &str = "peer";
    for (consumers, ours, peer) in all {
        let row = |what: &str, unit, of: &dyn Fn(&Outcome) -> f64, goal| {
            let peers = [(PEER, peer.as_ref().map(of))];
            Row::new(format!("{what}, {consumers} consumers"), unit, Some(of(ours)), peers, goal)
        };
        // With fewer consumers there are fewer copies to save.
        let factor = BYTES_FACTOR * 10.0 / *consumers as f64;
        let goal = Goal::TimesPeer { peer: PEER, factor };
        report.rows.push(row("WAN bytes per revision", "B", &Outcome::wire_bytes, goal));
        let p99 = |outcome: &Outcome| outcome.paced.latency.p99_us / 1e3;
        report.rows.push(row("commit to watcher behind 80 ms, p99", "ms", &p99, Goal::AtMost(P99_MS_MAX)));
        let missing = |outcome: &Outcome| (outcome.paced.missing + outcome.burst.missing) as f64;
        report.rows.push(row("revisions missing", "rev", &missing, Goal::AtMost(0.0)));
    }
    let cpu: Vec<f64> = all.iter().map(|(_, ours, _)| ours.hub_cpu_us).collect();
    if let Some(first) = cpu.first().filter(|_| cpu.len() > 1) {
        let most = cpu.iter().copied().fold(0.0, f64::max);
        let metric = "hub CPU per revision, most of all N over N = 1";
        let goal = Goal::AtMost(1.1);
        report.rows.push(Row::new(metric, "×", Some(most / first), [], goal));
    }
}
