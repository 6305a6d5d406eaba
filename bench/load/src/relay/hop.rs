//! What the way through a delegate adds on loopback: a member behind it against a node straight at the hub.
//!
//! Both are nodes inside this process, so what they do with a batch and on which cores is the same; hub and delegate
//! are processes. The difference is taken revision by revision.

use super::{
    region::settle,
    stage::{Stage, ms, seen_by},
    timeline::Timeline,
    watch::FeedWatch,
};
use crate::report::{Goal, Report, Row};

/// What the hop may add.
const ADDED_MS_MAX: f64 = 1.0;
/// Below it, no batch waits for another.
const SLOW_RATE: f64 = 100.0;

pub(super) async fn measure(stage: &mut Stage, report: &mut Report) -> anyhow::Result<()> {
    let hub = stage.ground.hub("hub-hop", stage.home.client()).await?;
    let delegate = [stage.ground.node("hop", "gw-0", hub.listen).await?];
    let member = stage.ground.nodes_inside("hop", 1, hub.listen)?;
    let straight = stage.ground.nodes_inside("straight", 1, hub.listen)?;
    let timeline = stage.timeline().await?;
    let from = timeline.committed().highest() + 1;
    let watch = |feed| FeedWatch::open(feed, from, timeline.watcher());
    let feeds: Vec<_> = straight.feeds().chain(member.feeds()).map(watch).collect();
    settle(&delegate, Some(&member)).await?;
    let times = || feeds.iter().map(|feed| &feed.times);
    for rate in [stage.options.rate, SLOW_RATE] {
        let warm = stage
            .home
            .paced(&timeline, rate, stage.options.pause())
            .await?;
        seen_by(times(), &warm).await;
        let duration = stage.options.duration();
        let written = stage.home.paced(&timeline, rate, duration).await?;
        seen_by(times(), &written).await;
        let late = |n: usize| timeline.lateness(times().skip(n).take(1), &written);
        let (at_hub, at_delegate) = (late(0), late(1));
        let added = Timeline::behind(&feeds[0].times, &feeds[1].times, &written);
        let who = format!("{rate}/s");
        stage.note(
            "hop",
            &who,
            "commit to node at the hub",
            ms(&at_hub.latency),
        );
        stage.note("hop", &who, "commit to member", ms(&at_delegate.latency));
        stage.note("hop", &who, "added, revision by revision", ms(&added));
        let metric = format!("relay hop added on loopback, p99, {rate} rev/s");
        let goal = Goal::AtMost(ADDED_MS_MAX);
        let ours = Some(added.p99_us / 1e3);
        report.rows.push(Row::new(metric, "ms", ours, [], goal));
    }
    Ok(())
}
