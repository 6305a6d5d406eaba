//! N consumers in a region behind 80 ms: our members, and as many grpc-proxies.
//!
//! Both kinds stand behind the same emulator, which counts what is put on the wire: whole datagrams with 28 bytes of
//! headers for us, both directions and acknowledgements included; for TCP payload with 52 bytes per segment of 1,448,
//! acknowledgements not included, which favours the peer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use meridian_tests::wan::{Conditions, Load, UdpWan, Wan};
use serde::Serialize;

use super::{
    region::settle,
    stage::{Background, Stage, ms, seen_by},
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
/// With so many consumers.
const BYTES_CONSUMERS: usize = 10;
/// More processes than this do not fit: direct watches then.
const PROXIES_MAX: usize = 10;
/// Of our members, how many are processes: the delegate and one member.
const PROCESSES_MAX: usize = 2;
/// After a burst, for the last acknowledgements.
const SETTLES: Duration = Duration::from_secs(1);
/// Puts in flight of the burst.
const BURST_IN_FLIGHT: usize = 64;

/// What we are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// `etcd grpc-proxy` processes, one watcher each. They always ask for the previous value too.
    Proxies,
    /// Clients that watch the home themselves.
    Watches,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Self::Proxies => "grpc-proxies",
            Self::Watches => "direct watches",
        }
    }

    fn who(self, consumers: usize) -> String {
        format!("{consumers} {}", self.name())
    }
}

/// One number of consumers: ours, and the peers'.
type Compared = (usize, Outcome, Vec<(Peer, Outcome)>);

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
    /// Of all consumers.
    paced: Lateness,
    burst: Lateness,
    /// Of those that are clients of a door, or of a proxy.
    doors_paced: Lateness,
    doors_burst: Lateness,
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
            hub: self
                .hub
                .map(ProcessId::cpu)
                .transpose()?
                .unwrap_or_default(),
            home: self.home.cpu()?,
            at: Instant::now(),
        })
    }
}

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let mut all = Vec::new();
    for consumers in stage.options.consumers() {
        let ours = members(stage, consumers)
            .await
            .with_context(|| format!("{consumers} members"))?;
        let mut peers = Vec::new();
        for peer in [Peer::Proxies, Peer::Watches] {
            let left_out =
                stage.options.no_peers || peer == Peer::Proxies && consumers > PROXIES_MAX;
            if !left_out {
                let outcome = behind(stage, peer, consumers).await;
                peers.push((peer, outcome.with_context(|| peer.who(consumers))?));
            }
        }
        all.push((consumers, ours, peers));
    }
    report_rows(report, &all);
    Ok(())
}

/// Who watches: clients of doors or proxies, and readers of feeds.
struct Watchers {
    doors: Vec<GrpcWatch>,
    feeds: Vec<FeedWatch>,
}

impl Watchers {
    fn doors(&self) -> impl Iterator<Item = &Arc<Times>> {
        self.doors.iter().map(|door| &door.times)
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Times>> {
        self.doors()
            .chain(self.feeds.iter().map(|feed| &feed.times))
    }
}

async fn drive(
    stage: &mut Stage,
    timeline: &Timeline,
    watchers: &Watchers,
    meters: Meters<'_>,
) -> anyhow::Result<Outcome> {
    let (rate, duration) = (stage.options.rate, stage.options.duration());
    let warm = stage
        .home
        .paced(timeline, rate, stage.options.pause())
        .await?;
    seen_by(watchers.all(), &warm)
        .await
        .context("the warm-up does not arrive")?;

    let before = meters.read()?;
    let written = stage.home.paced(timeline, rate, duration).await?;
    seen_by(watchers.all(), &written).await;
    let after = meters.read()?;

    let burst = stage
        .home
        .burst(timeline, BURST_IN_FLIGHT, stage.options.pause())
        .await?;
    seen_by(watchers.all(), &burst).await;
    let last = meters.read()?;
    tokio::time::sleep(SETTLES).await;
    let quiet = meters.read()?;
    tokio::time::sleep(stage.options.pause()).await;
    let listened = meters.read()?;

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
        paced: timeline.lateness(watchers.all(), &written),
        burst: timeline.lateness(watchers.all(), &burst),
        doors_paced: timeline.lateness(watchers.doors(), &written),
        doors_burst: timeline.lateness(watchers.doors(), &burst),
        burst_rate: burst.revisions() / burst.seconds,
        burst_bytes: total(&after, &last) / burst.revisions(),
    })
}

async fn members(stage: &mut Stage, consumers: usize) -> anyhow::Result<Outcome> {
    let who = format!("{consumers} members");
    let hub = stage
        .ground
        .hub(&format!("hub-{consumers}"), stage.home.client())
        .await?;
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

    let watchers = Watchers { doors, feeds };
    let wire = || [wan.back().sent, wan.there().sent];
    let meters = Meters {
        wire: &wire,
        hub: Some(hub.id()),
        home: stage.home.id(),
    };
    let outcome = drive(stage, &timeline, &watchers, meters).await?;
    note(stage, &who, &outcome);
    let broken: u64 = watchers.feeds.iter().map(FeedWatch::broken).sum();
    stage.note("consumers", &who, "feeds broken off", broken);
    settle(&processes, Some(&inside))
        .await
        .context("after the run")?;
    let link = processes[0].link().await?;
    stage.note(
        "consumers",
        &who,
        "compression, the delegate says",
        &link["compression_ratio"],
    );
    Ok(outcome)
}

async fn behind(stage: &mut Stage, peer: Peer, consumers: usize) -> anyhow::Result<Outcome> {
    let who = peer.who(consumers);
    let runtime = Background::start()?;
    let wan = runtime
        .runtime()
        .spawn(Wan::start(stage.home.client()))
        .await??;
    wan.set(Conditions::half_of(ROUND_TRIP));
    let mut proxies = Vec::<Front>::new();
    let mut endpoints = vec![Endpoint::loopback(wan.address().port()); consumers];
    if peer == Peer::Proxies {
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
    let watchers = Watchers {
        doors,
        feeds: Vec::new(),
    };
    let wire = || [wan.back().sent, wan.there().sent];
    let meters = Meters {
        wire: &wire,
        hub: None,
        home: stage.home.id(),
    };
    let outcome = drive(stage, &timeline, &watchers, meters).await?;
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
        doors_paced,
        doors_burst,
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
            format!(
                "hub {} µs, home {} µs",
                number(*hub_cpu_us),
                number(*home_cpu_us)
            ),
        ),
        (
            "commit to watcher",
            format!(
                "{}, {} missing, {} twice",
                ms(&paced.latency),
                paced.missing,
                paced.again
            ),
        ),
        (
            "commit to watcher, doors alone",
            format!(
                "{}; burst {}",
                ms(&doors_paced.latency),
                ms(&doors_burst.latency)
            ),
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

fn report_rows(report: &mut Report, all: &[Compared]) {
    for (consumers, ours, peers) in all {
        let row = |what: &str, unit, of: &dyn Fn(&Outcome) -> f64, goal| {
            let metric = format!("{what}, {consumers} consumers");
            let peers = peers
                .iter()
                .map(|(peer, outcome)| (peer.name(), Some(of(outcome))));
            Row::new(metric, unit, Some(of(ours)), peers, goal)
        };
        for (peer, _) in peers {
            let goal = match (peer, *consumers) {
                (Peer::Proxies, BYTES_CONSUMERS) => Goal::TimesPeer {
                    peer: peer.name(),
                    factor: BYTES_FACTOR,
                },
                (Peer::Proxies | Peer::Watches, _) => Goal::Beside(peer.name()),
            };
            let row = row("WAN bytes per revision", "B", &Outcome::wire_bytes, goal);
            report.rows.push(row);
        }
        let p99 = |outcome: &Outcome| outcome.paced.latency.p99_us / 1e3;
        let what = "commit to watcher behind 80 ms, p99";
        report
            .rows
            .push(row(what, "ms", &p99, Goal::AtMost(P99_MS_MAX)));
        let wrong = |of: &Lateness| of.missing + of.again;
        let wrong = |outcome: &Outcome| (wrong(&outcome.paced) + wrong(&outcome.burst)) as f64;
        report.rows.push(row(
            "revisions missing or twice",
            "rev",
            &wrong,
            Goal::AtMost(0.0),
        ));
    }
}
