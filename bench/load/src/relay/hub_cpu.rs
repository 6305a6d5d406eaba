//! What a revision costs a hub with N consumers in its region, against a hub with one at the same moment.
//!
//! All nodes share two cores with the hub, and its microseconds grow when fifty nodes take the caches: etcd's grow as
//! much. So both hubs stand beside the same home in the same seconds, and the ratio is taken inside the round; the middle
//! round counts. One against one is measured too: it tells what the method is worth.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use meridian_tests::wan::{Conditions, UdpWan};

use super::{
    consumers::ROUND_TRIP,
    region::{Inside, Process, settle},
    stage::{Stage, seen_by},
    timeline::{Timeline, Times},
    watch::FeedWatch,
};
use crate::{
    process::ProcessId,
    report::{Goal, Report, Row, number},
};

/// Most over the first.
const FACTOR: f64 = 1.1;
const ROUNDS: usize = 3;
/// CPU counts in ticks of 10 ms: some twenty of them.
const ROUND_MIN: Duration = Duration::from_secs(3);

/// A hub with a region of its own.
struct Side {
    hub: Process,
    delegate: [Process; 1],
    inside: Inside,
    feeds: Vec<FeedWatch>,
    _wan: UdpWan,
}

impl Side {
    async fn start(
        stage: &Stage,
        name: &str,
        consumers: usize,
        timeline: &Timeline,
    ) -> anyhow::Result<Self> {
        let hub = stage
            .ground
            .hub(&format!("hub-{name}"), stage.home.client())
            .await?;
        let wan = UdpWan::start(hub.listen, 1)?;
        wan.set(Conditions::half_of(ROUND_TRIP));
        let delegate = [stage.ground.node(name, "gw-0", wan.address()).await?];
        let inside = stage
            .ground
            .nodes_inside(name, consumers - 1, wan.address())?;
        let from = timeline.committed().highest() + 1;
        let watch = |feed| FeedWatch::open(feed, from, timeline.watcher());
        Ok(Self {
            feeds: inside.feeds().map(watch).collect(),
            hub,
            delegate,
            inside,
            _wan: wan,
        })
    }

    async fn settle(&self) -> anyhow::Result<()> {
        settle(&self.delegate, Some(&self.inside)).await
    }

    fn times(&self) -> impl Iterator<Item = &Arc<Times>> {
        self.feeds.iter().map(|feed| &feed.times)
    }
}

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    for consumers in stage.options.consumers() {
        // The quick look has no time to try the method itself.
        if stage.options.quick && consumers == 1 {
            continue;
        }
        let ratio = ratio(stage, consumers).await;
        let ratio = ratio.with_context(|| format!("{consumers} consumers"))?;
        let metric = format!("hub CPU per revision, {consumers} consumers over 1");
        let goal = Goal::AtMost(FACTOR);
        report
            .rows
            .push(Row::new(metric, "×", Some(ratio), [], goal));
    }
    Ok(())
}

/// The hub with `consumers` over the hub with one: of the middle round.
async fn ratio(stage: &mut Stage, consumers: usize) -> anyhow::Result<f64> {
    let timeline = stage.timeline().await?;
    let name = format!("n{consumers}");
    let side = Side::start(stage, &name, consumers, &timeline).await?;
    let one = Side::start(stage, &format!("beside-{name}"), 1, &timeline).await?;
    side.settle().await?;
    one.settle().await?;
    let (rate, duration) = (
        stage.options.rate,
        (stage.options.duration() / 2).max(ROUND_MIN),
    );
    stage
        .home
        .paced(&timeline, rate, stage.options.pause())
        .await?;
    let mut ratios = Vec::new();
    for _ in 0..ROUNDS {
        let ids = [side.hub.id(), one.hub.id(), stage.home.id()];
        let before = ids.map(ProcessId::cpu);
        let written = stage.home.paced(&timeline, rate, duration).await?;
        let all_came = seen_by(side.times(), &written).await;
        all_came.context("not every revision came")?;
        let mut micros = [0.0; 3];
        for ((micros, id), before) in micros.iter_mut().zip(ids).zip(before) {
            *micros = (id.cpu()? - before?).as_secs_f64() * 1e6 / written.revisions();
        }
        let [hub, beside, home] = micros;
        let told = format!(
            "{} µs; the hub beside it with one: {} µs; etcd {} µs",
            number(hub),
            number(beside),
            number(home)
        );
        let who = format!("{consumers} consumers");
        stage.note("hub-cpu", &who, "CPU per revision", told);
        ratios.push(hub / beside.max(1.0));
    }
    ratios.sort_by(f64::total_cmp);
    Ok(ratios[ROUNDS / 2])
}
