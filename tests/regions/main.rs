//! Regions behind hubs: what crosses the WAN, how fast a fault mends, what weather does, how a node joins,
//! who is let in, and what becomes of calls.
//!
//! Every test has a world of its own and the machine for itself: several at once on two cores would measure
//! each other.
#![allow(clippy::print_stdout, reason = "a test tells what it saw")]

mod bytes;
mod calls;
mod certificates;
mod hubs;
mod joining;
mod kernel_bytes;
mod recovery;
mod weather;

use std::time::Duration;

use anyhow::Result;
use meridian_tests::regions::{Follower, PREFIX, Regions, Writers};
use tokio::sync::{Mutex, MutexGuard};

/// What has not happened by then does not happen.
pub(crate) const STUCK: Duration = Duration::from_secs(20);

/// The machine, for one test at a time.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static MACHINE: Mutex<()> = Mutex::const_new(());
    MACHINE.lock().await
}

/// A watcher on every node, from a first revision on that all will see.
pub(crate) async fn follow(regions: &Regions) -> Result<(Vec<Follower>, i64)> {
    let from = mark(regions).await?;
    let followers = regions
        .nodes
        .iter()
        .map(|node| Follower::start(&node.machine.name, &node.endpoint(), PREFIX, from));
    let followers: Vec<Follower> = followers.collect();
    for follower in &followers {
        follower.sees(from, STUCK).await?;
    }
    Ok((followers, from))
}

/// One more revision of the home.
pub(crate) async fn mark(regions: &Regions) -> Result<i64> {
    Writers::mark(&regions.cluster.endpoints()).await
}

/// Every watcher saw all, once and in order, and every replica is the home's.
pub(crate) async fn judge(regions: &Regions, followers: Vec<Follower>, from: i64) -> Result<usize> {
    use meridian_tests::regions::{compare, compare_replicas, truth};
    let until = mark(regions).await?;
    for follower in &followers {
        follower.sees(until, STUCK).await?;
    }
    let happened = truth(&regions.home()?, PREFIX, from, until).await?;
    for follower in followers {
        let name = follower.name.clone();
        compare(&name, &follower.end().await?, &happened)?;
    }
    compare_replicas(regions, STUCK).await?;
    Ok(happened.len())
}
