//! A delegate with a thousand subscribers: whether the slowest stays within a second at full rate.
//!
//! The delegate is a process; its subscribers are links of this process that read and frame-check every batch (CRC
//! included) and hold no replica. How late a batch is counts from the commit of its first revision, the one that
//! waited longest.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use meridian_delegate::{
    Endpoint, Kind, Link,
    link::wire::{LogReply, Subscribe},
};
use meridian_revlog::{Batch, FrameReader};
use meridian_runtime::TaskGroup;
use tokio::task::JoinSet;

use super::{
    region::{Process, node_name, settle},
    stage::{Stage, ms},
    timeline::{Timeline, Times},
};
use crate::{
    outcome::Recorder,
    report::{Goal, Report, Row, number},
};

/// How late the slowest may be.
const BEHIND_MS_MAX: f64 = 1_000.0;
/// Subscribers that share a port.
const LINKS_PER_PORT: usize = 100;
/// Handshakes at a time.
const HANDSHAKES: usize = 20;
/// For everybody to have the last revision.
const DRAIN: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
const REPLY: Duration = Duration::from_secs(10);
const REGION: &str = "crowd";

/// What all subscribers note in.
#[derive(Default)]
struct Seen {
    committed: Option<Arc<Times>>,
    recorder: std::sync::Mutex<Recorder>,
    batches: AtomicU64,
    gaps: AtomicU64,
    ended: AtomicU64,
}

/// One of them: how far it is, and how late it was at most.
#[derive(Default)]
struct Subscriber {
    at: AtomicI64,
    late_ns_max: AtomicU64,
}

struct Crowd {
    seen: Arc<Seen>,
    subscribers: Vec<Arc<Subscriber>>,
    _readers: JoinSet<()>,
    tasks: TaskGroup,
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let count = stage.options.subscribers;
    let hub = stage.ground.hub("hub-crowd", stage.home.client()).await?;
    let delegate = [stage.ground.node(REGION, "gw-0", hub.listen).await?];
    settle(&delegate, None).await?;
    let timeline = stage.timeline().await?;
    let start = Instant::now();
    let crowd = Crowd::gather(stage, &delegate[0], &timeline, count).await?;
    let took = start.elapsed();
    let who = format!("{count} subscribers");
    stage.note(
        "crowd",
        &who,
        "linked and subscribed in",
        format!("{took:.2?}"),
    );

    let rate = stage.options.rate;
    let warm = stage
        .home
        .paced(&timeline, rate, stage.options.pause())
        .await?;
    crowd.all_at(warm.to).await;
    crowd.begin();
    let (relay, at_hub, own) = (delegate[0].id().cpu()?, hub.id().cpu()?, own_cpu()?);
    let written = stage
        .home
        .paced(&timeline, rate, stage.options.duration())
        .await?;
    let drained = crowd.all_at(written.to).await;
    let per = |spent: Duration| spent.as_secs_f64() * 1e6 / written.revisions();
    let (relay, at_hub, own) = (
        per(delegate[0].id().cpu()? - relay),
        per(hub.id().cpu()? - at_hub),
        per(own_cpu()? - own),
    );
    let (latency, slowest) = crowd.lateness();
    stage.note("crowd", &who, "commit to batch", ms(&latency));
    let told = format!("{} ms", number(slowest));
    stage.note("crowd", &who, "the slowest at its latest", told);
    let batches = crowd.seen.batches.load(Ordering::Relaxed) as f64;
    let per_batch = written.revisions() * count as f64 / batches.max(1.0);
    let told = format!(
        "{} rev/s written, {} revisions a batch",
        number(written.revisions() / written.seconds),
        number(per_batch)
    );
    stage.note("crowd", &who, "rate", told);
    let told = format!(
        "delegate {} µs, hub {} µs, all subscribers {} µs per revision",
        number(relay),
        number(at_hub),
        number(own)
    );
    stage.note("crowd", &who, "CPU", told);
    let told = drained.map_or("not all came".to_owned(), |after| {
        format!("{after:.1?} after the last write")
    });
    stage.note("crowd", &who, "all have all", told);
    let [gaps, ended] = [&crowd.seen.gaps, &crowd.seen.ended].map(|n| n.load(Ordering::Relaxed));
    let metric = format!("slowest of {count} members of one relay at {rate} rev/s, at its latest");
    let ours = drained.map(|_| slowest);
    let goal = Goal::AtMost(BEHIND_MS_MAX);
    report.rows.push(Row::new(metric, "ms", ours, [], goal));
    let metric = format!("gaps and broken links of {count} members");
    let ours = Some((gaps + ended) as f64);
    report
        .rows
        .push(Row::new(metric, "", ours, [], Goal::AtMost(0.0)));
    Ok(())
}

fn own_cpu() -> anyhow::Result<Duration> {
    crate::process::ProcessId::own().cpu()
}

impl Crowd {
    async fn gather(
        stage: &Stage,
        relay: &Process,
        timeline: &Timeline,
        count: usize,
    ) -> anyhow::Result<Self> {
        let tasks = TaskGroup::root("crowd");
        let seen = Arc::new(Seen {
            committed: Some(Arc::clone(timeline.committed())),
            ..Seen::default()
        });
        let mut crowd = Self {
            seen,
            subscribers: Vec::with_capacity(count),
            _readers: JoinSet::new(),
            tasks,
        };
        let from = timeline.committed().highest() + 1;
        while crowd.subscribers.len() < count {
            let me = node_name(REGION, &format!("light-{}", crowd.subscribers.len()));
            let config = stage.ground.link(&me, false)?;
            let endpoint = Arc::new(Endpoint::open(None, &config, &me, &crowd.tasks)?);
            let share = LINKS_PER_PORT.min(count - crowd.subscribers.len());
            for first in (0..share).step_by(HANDSHAKES) {
                crowd
                    .join(&endpoint, relay, from, HANDSHAKES.min(share - first))
                    .await?;
            }
        }
        Ok(crowd)
    }

    /// Some more, all at a time.
    async fn join(
        &mut self,
        endpoint: &Arc<Endpoint>,
        relay: &Process,
        from: i64,
        count: usize,
    ) -> anyhow::Result<()> {
        let mut joining = JoinSet::new();
        for _ in 0..count {
            let (endpoint, address) = (Arc::clone(endpoint), relay.listen.to_string());
            joining.spawn(async move {
                let name = node_name(REGION, "gw-0");
                let link = endpoint.connect_node(&address, &name).await?;
                let (mut send, mut recv) = link.open(Kind::Log).await?;
                let subscribe = Subscribe {
                    from,
                    ..Subscribe::default()
                };
                send.message(&subscribe).await?;
                let reply: LogReply = recv.message_within(REPLY).await?;
                let reply = reply.into_result();
                ensure!(reply.is_ok(), "a subscription was refused: {reply:?}");
                anyhow::Ok((endpoint, link, send, recv))
            });
        }
        while let Some(joined) = joining.join_next().await {
            let (endpoint, link, send, recv) = joined?.context("subscribe to the delegate")?;
            let subscriber = Arc::new(Subscriber::default());
            self.subscribers.push(Arc::clone(&subscriber));
            let seen = Arc::clone(&self.seen);
            self._readers.spawn(async move {
                // Held, so that the link stays.
                let _held: (Arc<Endpoint>, Link, _) = (endpoint, link, send);
                read(recv, &subscriber, &seen).await;
                seen.ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        Ok(())
    }

    fn begin(&self) {
        *self.seen.recorder() = Recorder::default();
        self.seen.batches.store(0, Ordering::Relaxed);
        for subscriber in &self.subscribers {
            subscriber.late_ns_max.store(0, Ordering::Relaxed);
        }
    }

    /// Waits until everybody is at `revision`; how long that took, or none.
    async fn all_at(&self, revision: i64) -> Option<Duration> {
        let start = Instant::now();
        for subscriber in &self.subscribers {
            while subscriber.at.load(Ordering::Relaxed) < revision {
                if start.elapsed() > DRAIN {
                    return None;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Some(start.elapsed())
    }

    /// Of all batches, and the latest of all in milliseconds.
    fn lateness(&self) -> (crate::outcome::Latency, f64) {
        let latency = self.seen.recorder().finish(Duration::from_secs(1)).latency;
        let late = |subscriber: &Arc<Subscriber>| subscriber.late_ns_max.load(Ordering::Relaxed);
        let latest = self.subscribers.iter().map(late).max().unwrap_or_default();
        (latency, latest as f64 / 1e6)
    }
}

impl Seen {
    fn recorder(&self) -> std::sync::MutexGuard<'_, Recorder> {
        self.recorder
            .lock()
            .expect("nothing panics while it holds this")
    }
}

async fn read(mut recv: meridian_delegate::link::Recv, subscriber: &Subscriber, seen: &Seen) {
    let mut frames = FrameReader::new();
    while let Ok(Some(chunk)) = recv.chunk().await {
        frames.push(chunk);
        let mut oldest = None;
        loop {
            match frames.next() {
                Ok(Some(batch)) => {
                    note(&batch, subscriber, seen);
                    oldest.get_or_insert(batch.first().get());
                }
                Ok(None) => break,
                Err(_) => return,
            }
        }
        if let Some(late) = oldest.and_then(|first| seen.late(first)) {
            let ns = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
            subscriber.late_ns_max.fetch_max(ns, Ordering::Relaxed);
            seen.recorder().success(late, 0);
        }
    }
}

impl Seen {
    fn late(&self, revision: i64) -> Option<Duration> {
        self.committed.as_ref()?.since(revision)
    }
}

fn note(batch: &Batch, subscriber: &Subscriber, seen: &Seen) {
    seen.batches.fetch_add(1, Ordering::Relaxed);
    let at = subscriber.at.load(Ordering::Relaxed);
    if at != 0 && batch.first().get() > at + 1 {
        seen.gaps.fetch_add(1, Ordering::Relaxed);
    }
    subscriber
        .at
        .fetch_max(batch.last().get(), Ordering::Relaxed);
}
