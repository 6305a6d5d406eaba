//! How a node joins: by a snapshot, which goes on where it was cut off, and which also mends what a window
//! no longer holds. Never a gap.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::etcdserverpb::CompactionRequest;
use meridian_tests::{
    ask,
    regions::{PREFIX, Regions, RegionsPlan, compare_replicas},
    wait::{SOON, eventually},
    wan::{Conditions, Gate},
};

use crate::{STUCK, alone, follow, judge, mark};

/// A key's value: 40 kB that no compression makes smaller than three quarters of it.
const VALUE_BYTES: usize = 40_000;

/// The slow way's bytes a second.
const SLOW: u64 = 3_000_000;

async fn fill(regions: &Regions, prefix: &str, keys: usize) -> Result<i64> {
    let (home, mut revision) = (regions.home()?, 0);
    for n in 0..keys {
        let value: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(VALUE_BYTES)
            .collect();
        let answer = home.put(ask::put(format!("{prefix}{n:05}"), value)).await?;
        revision = answer.header.context("a header")?.revision;
    }
    Ok(revision)
}

/// Waits until the snapshot of node `n` has at least this share of its keys; keys done and in all.
async fn has_come(regions: &Regions, n: usize, share: f64) -> Result<(u64, u64)> {
    let what = format!("{share} of a snapshot is there");
    eventually(STUCK, &what, || async {
        let link = regions.nodes[n].machine.link().await?;
        let (done, total) = link.snapshot().context("none is coming")?;
        ensure!(done as f64 >= total as f64 * share, "{done} of {total}");
        anyhow::Ok((done, total))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_snapshot_goes_on_where_it_was() -> Result<()> {
    const KEYS: usize = 700;
    let _machine = alone().await;
    let mut regions = Regions::found(&RegionsPlan::of(&[])?).await?;
    let revision = fill(&regions, "big/", KEYS).await?;
    let slow = Conditions {
        bytes_per_second: Some(SLOW),
        ..Conditions::half_of(Duration::from_millis(20))
    };
    let mut plan = regions.plan_of("eu");
    plan.between = slow;
    let node = regions.add_as(&plan)?;
    let (before, total) = has_come(&regions, node, 0.3).await?;
    ensure!(total >= KEYS as u64, "{total} keys in all");
    // Long enough for both ends to give the connection up.
    regions.nodes[node].gate_wan(Gate::Cut);
    let cut = Instant::now();
    eventually(STUCK, "the node notices", || async {
        let link = regions.nodes[node].machine.link().await?;
        ensure!(link.source()? == "none", "{}", link.source()?);
        anyhow::Ok(())
    })
    .await?;
    println!("the cut was noticed after {:?}", cut.elapsed());
    tokio::time::sleep_until((cut + Duration::from_secs(12)).into()).await;
    let carried = regions.nodes[node].wan_load().0;
    regions.nodes[node].gate_wan(Gate::Open);
    let (after, _) = has_come(&regions, node, 0.0).await?;
    ensure!(
        after >= before,
        "it began anew: {after} keys after {before}"
    );
    regions.reaches(node, revision, STUCK).await?;
    regions.nodes[node].machine.ready().await?;
    let rest = regions.nodes[node].wan_load().0 - carried;
    let all = (KEYS * VALUE_BYTES) as f64;
    println!(
        "{before} of {total} keys before the cut, {after} after it; {:.1} MB came before, {:.1} MB after, of {:.1} MB",
        carried.bytes as f64 / 1e6,
        rest.bytes as f64 / 1e6,
        all / 1e6
    );
    let share = (carried + rest).bytes as f64 / all;
    ensure!(share < 1.1, "{share:.2} times the keyspace came");
    let (keys, _) = compare_replicas(&regions, STUCK).await?;
    ensure!(keys >= KEYS, "{keys} keys");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_flows_beside_a_snapshot() -> Result<()> {
    let _machine = alone().await;
    let mut regions = Regions::found(&RegionsPlan::of(&[])?).await?;
    fill(&regions, "big/", 300).await?;
    let mut plan = regions.plan_of("eu");
    plan.between = Conditions {
        bytes_per_second: Some(SLOW),
        ..Conditions::half_of(Duration::from_millis(20))
    };
    let node = regions.add_as(&plan)?;
    has_come(&regions, node, 0.05).await?;
    let written = mark(&regions).await?;
    // Its position in the log passes what was written after its snapshot began, while that still comes.
    eventually(STUCK, "the tail has come", || async {
        let link = regions.nodes[node].machine.link().await?;
        ensure!(link.snapshot().is_some(), "the snapshot is through: {link}");
        let at = link.at("position").and_then(serde_json::Value::as_i64);
        ensure!(at.is_some_and(|at| at >= written), "{at:?} of {written}");
        anyhow::Ok(())
    })
    .await?;
    regions.nodes[node].machine.ready().await?;
    compare_replicas(&regions, STUCK).await?;
    Ok(())
}

/// Some hundred kilobytes of snapshot over a bad way: each time within seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_gets_ready_over_a_bad_way() -> Result<()> {
    const JOININGS: usize = 4;
    let _machine = alone().await;
    let mut regions = Regions::found(&RegionsPlan::of(&[])?).await?;
    fill(&regions, "big/", 12).await?;
    let mut plan = regions.plan_of("eu");
    plan.between = Conditions::half_of(Duration::from_millis(220)).losing(0.01);
    let node = regions.add_as(&plan)?;
    for _ in 0..JOININGS {
        let began = Instant::now();
        regions.nodes[node].machine.ready().await?;
        println!("ready after {:?}", began.elapsed());
        regions.nodes[node].machine.kill();
        regions.nodes[node].machine.launch()?;
    }
    Ok(())
}

/// The least window there is: 8 MiB.
const WINDOW_BYTES: u64 = 8 << 20;

/// Watchers of the node that was away see every revision: what the window has lost is still in a
/// relay's history, or in the home's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_behind_the_window_misses_nothing() -> Result<()> {
    let _machine = alone().await;
    let plan = RegionsPlan::of(&[("eu", 2)])?.window(WINDOW_BYTES);
    let regions = Regions::start(&plan).await?;
    let (followers, from) = follow(&regions).await?;
    let (delegate, member, far_on) = fall_behind(&regions).await?;
    regions.nodes[member].gate_wan(Gate::Open);
    regions.rejoin(delegate, member);
    regions.reaches(member, far_on, STUCK).await?;
    regions.settled("eu").await?;
    judge(&regions, followers, from).await?;
    Ok(())
}

/// Where nobody has what it missed any more, it takes a snapshot and is equal again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_behind_all_history_takes_a_snapshot() -> Result<()> {
    let _machine = alone().await;
    let plan = RegionsPlan::of(&[("eu", 2)])?.window(WINDOW_BYTES);
    let mut regions = Regions::start(&plan).await?;
    let (delegate, member, far_on) = fall_behind(&regions).await?;
    // The hub forgets its history with its process, and the home compacts its own.
    let compact = CompactionRequest {
        revision: far_on,
        physical: false,
    };
    regions.home()?.compact(compact).await?;
    regions.hubs[0].machine.kill();
    regions.hubs[0].machine.launch()?;
    regions.hubs[0].machine.ready().await?;
    regions.nodes[member].gate_wan(Gate::Open);
    regions.reaches(member, far_on, STUCK).await?;
    let log = regions.nodes[member].machine.log();
    ensure!(
        log.contains("rebuilding the replica from a snapshot"),
        "it does not say that it took a snapshot:\n{log}"
    );
    regions.rejoin(delegate, member);
    compare_replicas(&regions, STUCK).await?;
    Ok(())
}

/// Cuts a member off from hubs and neighbours while more is written than twice the window; the
/// delegate, that member, and the revision the delegate has then.
async fn fall_behind(regions: &Regions) -> Result<(usize, usize, i64)> {
    let delegate = regions.settled("eu").await?;
    let member = regions.member("eu").await?;
    regions.nodes[member].gate_wan(Gate::Cut);
    regions.part(delegate, member);
    // 24 MB of values: 18 MB coded, more than twice the window.
    fill(regions, &format!("{PREFIX}big/"), 600).await?;
    let far_on = mark(regions).await?;
    regions.reaches(delegate, far_on, STUCK).await?;
    Ok((delegate, member, far_on))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_starts_again_has_its_watchers_resume() -> Result<()> {
    let _machine = alone().await;
    let mut regions = Regions::start(&RegionsPlan::of(&[("eu", 2)])?).await?;
    let (followers, from) = follow(&regions).await?;
    for n in 0..2 {
        regions.nodes[n].machine.kill();
        fill(&regions, &format!("{PREFIX}{n}/"), 20).await?;
        regions.nodes[n].machine.launch()?;
        regions.nodes[n].machine.ready().await?;
    }
    regions.settled("eu").await?;
    judge(&regions, followers, from).await?;
    Ok(())
}

/// A client that resumes below a compaction is told so by a region's node as etcd tells it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_below_a_compaction_is_refused_as_etcd_does() -> Result<()> {
    use meridian_tests::watching::{Watching, of_prefix};
    let _machine = alone().await;
    let regions = Regions::start(&RegionsPlan::of(&[("eu", 1)])?).await?;
    let first = mark(&regions).await?;
    for _ in 0..5 {
        mark(&regions).await?;
    }
    let last = mark(&regions).await?;
    let compact = CompactionRequest {
        revision: last,
        physical: false,
    };
    // Through the node: what others compact at the home it may go on to serve from memory.
    regions.nodes[0].connect()?.compact(compact).await?;
    let watch = || async {
        let mut request = of_prefix(&PREFIX.into());
        request.start_revision = first;
        let mut watching = Watching::open(&regions.nodes[0].connect()?);
        watching.create(request);
        let answers = [watching.next().await?, watching.next().await?];
        let refused = answers
            .iter()
            .any(|answer| answer.canceled && answer.compact_revision == last);
        ensure!(refused, "{answers:?}");
        anyhow::Ok(())
    };
    eventually(SOON, "the compaction is known", watch).await
}
