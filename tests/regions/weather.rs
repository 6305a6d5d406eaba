//! Goal: packets may be lost, late, doubled and out of order, near or far: every replica is right and every
//! watcher complete, and it does not take much longer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meridian_tests::{
    regions::{Regions, RegionsPlan, Writers},
    wan::Conditions,
};

use crate::{STUCK, alone, follow, judge, mark};

const WRITES_PER_SECOND: u32 = 100;

/// How long it rains.
const SPELL: Duration = Duration::from_secs(4);

/// What a revision may take at most on a bad way: a lost packet costs some round trips.
fn patience(between: &Conditions) -> Duration {
    between.delay * 16 + Duration::from_secs(1)
}

async fn holds(what: &str, between: Conditions) -> Result<()> {
    let _machine = alone().await;
    let plan = RegionsPlan::of(&[("eu", 2), ("ap", 1)])?.over(between);
    let regions = Regions::start(&plan).await?;
    let (followers, from) = follow(&regions).await?;
    let load = Writers::start(&regions.cluster.endpoints(), WRITES_PER_SECOND, 3)?;
    let (started, mut times) = (Instant::now(), Vec::new());
    while started.elapsed() < SPELL {
        let written = Instant::now();
        let revision = mark(&regions).await?;
        for follower in &followers {
            times.push(follower.sees(revision, STUCK).await? - written);
        }
    }
    load.end().await?;
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{what}: a put is seen after {:?}, p90 {:?}, at most {:?} ({} times)",
        at(0.5),
        at(0.9),
        at(1.0),
        times.len()
    );
    let events = judge(&regions, followers, from).await?;
    println!("{what}: {events} events at each of three watchers");
    ensure!(at(0.9) <= patience(&between), "p90 {:?}", at(0.9));
    Ok(())
}

fn far(millis: u64) -> Conditions {
    Conditions::half_of(Duration::from_millis(millis))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eighty_ms_and_one_per_cent_lost() -> Result<()> {
    holds("80 ms, 1 %", far(80).losing(0.01)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eighty_ms_and_five_per_cent_lost() -> Result<()> {
    holds("80 ms, 5 %", far(80).losing(0.05)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_and_twenty_ms_and_one_per_cent_lost() -> Result<()> {
    holds("220 ms, 1 %", far(220).losing(0.01)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_and_twenty_ms_and_five_per_cent_lost() -> Result<()> {
    holds("220 ms, 5 %", far(220).losing(0.05)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doubled_late_and_out_of_order() -> Result<()> {
    let between = Conditions {
        jitter: Duration::from_millis(10),
        reorder: 0.05,
        duplicate: 0.05,
        ..far(40).losing(0.01)
    };
    holds("40 ms, jitter 10 ms, 5 % doubled, 5 % late", between).await
}
