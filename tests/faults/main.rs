//! Goal: whatever is killed, frozen, cut off or restarted, every node of every region ends up with exactly
//! what the home holds, and every watcher saw every revision once and in order.
//!
//! Method: three regions behind an emulated WAN, two hubs, three etcd members, a constant load of writes at
//! the home, callers through the nodes, a watcher on each node. Faults come one after the other, some two
//! at a time, drawn from the seed. After each single one the first revision that the home commits must
//! reach every node that is not itself the victim within [`LATE`], and the victim as soon after it is well again.
//!
//! `MERIDIAN_SEED` reruns a seed; `MERIDIAN_MINUTES` makes it go on so long, `MERIDIAN_FAULTS` up to so
//! many faults; `cargo xtask faults` is for long runs. `MERIDIAN_RTT_MS` and `MERIDIAN_LOSS` (per cent)
//! set the WAN.
#![allow(clippy::print_stdout, reason = "a test tells what it saw")]

mod callers;
mod campaign;
mod fault;
mod figures;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    campaign::{Campaign, number},
    regions::{Follower, PREFIX, Regions, RegionsPlan, Writers, compare, compare_replicas, truth},
    wan::Conditions,
};

use campaign::Ended;

/// Faults of a run that is told nothing: what CI has time for.
const FAULTS: u64 = 12;

/// Writes a second at the home.
const WRITES_PER_SECOND: u32 = 100;

/// The first revision after a fault must be there by then.
pub(crate) const LATE: Duration = Duration::from_secs(2);

/// What has not happened by then does not happen.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

fn plan(seed: u64) -> Result<RegionsPlan> {
    let round_trip = Duration::from_millis(number("MERIDIAN_RTT_MS").unwrap_or(80));
    let loss: f64 = number("MERIDIAN_LOSS").unwrap_or(0.0);
    let between = Conditions::half_of(round_trip).losing(loss / 100.0);
    let regions = [("eu", 3), ("ap", 2), ("sa", 1)];
    Ok(RegionsPlan {
        members: 3,
        seed,
        ..RegionsPlan::of(&regions)?.hubs(2).over(between)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_leave_every_replica_equal_and_every_watcher_complete() -> Result<()> {
    let told = Campaign::told();
    println!("MERIDIAN_SEED={}", told.seed);
    run(told)
        .await
        .with_context(|| format!("MERIDIAN_SEED={}", told.seed))
}

async fn run(told: Campaign) -> Result<()> {
    let started = Instant::now();
    let mut regions = Regions::start(&plan(told.seed)?).await?;
    let from = Writers::mark(&regions.cluster.endpoints()).await?;
    let followers: Vec<Follower> = regions
        .nodes
        .iter()
        .map(|node| Follower::start(&node.machine.name, &node.endpoint(), PREFIX, from))
        .collect();
    let followers = Arc::new(followers);
    let load = Writers::start(&regions.cluster.endpoints(), WRITES_PER_SECOND, told.seed)?;
    let callers = callers::start(&regions)?;
    let unless_timed = if told.is_timed() { u64::MAX } else { FAULTS };
    let mut campaign = campaign::Campaign::new(&mut regions, &followers, told.seed);
    let ended = campaign
        .run(
            Instant::now(),
            told,
            number("MERIDIAN_FAULTS").unwrap_or(unless_timed),
        )
        .await;
    let figures = campaign.into_figures();
    println!("{figures}");
    let ended = ended.with_context(|| regions.log_tails())?;
    let writes = load.end().await?;
    callers::judge(&regions, callers).await?;
    let (keys, revisions) = judge(&regions, followers, from).await?;
    let Ended { faults } = ended;
    println!(
        "{faults} faults, {writes} writes, {revisions} revisions, {keys} keys in {:.0?}",
        started.elapsed()
    );
    ensure!(
        writes > faults * 10,
        "only {writes} writes: this proves nothing"
    );
    figures.judge()
}

/// Every replica and every watcher against the home.
async fn judge(
    regions: &Regions,
    followers: Arc<Vec<Follower>>,
    from: i64,
) -> Result<(usize, i64)> {
    let until = Writers::mark(&regions.cluster.endpoints()).await?;
    for follower in followers.iter() {
        follower.sees(until, STUCK).await?;
    }
    let happened = truth(&regions.home()?, PREFIX, from, until).await?;
    let followers = Arc::into_inner(followers).context("the campaign is over")?;
    for follower in followers {
        let name = follower.name.clone();
        compare(&name, &follower.end().await?, &happened)?;
    }
    let (keys, _) = compare_replicas(regions, STUCK).await?;
    Ok((keys, until - from))
}
