//! Concurrent clients on two gateways before a three-member etcd, with the leader killed, a follower frozen
//! and gateways restarted in the middle; what the clients saw is then judged.
//!
//! Method: every operation on a key is recorded with its call and its return, and the linearizable ones of
//! each key must have an order (`linearize`). Watches are compared with the home's own history: in order,
//! nothing missing, nothing twice. Connections may not go back at any level.
//!
//! `MERIDIAN_SECONDS` makes it long, `MERIDIAN_MINUTES` is the most. `MERIDIAN_SEED` decides what the clients try
//! and which trouble comes first; what comes of it hangs on the machine as well. The leader is only frozen if `MERIDIAN_FREEZE_LEADER` is set: etcd's
//! own reads can be stale then (etcd #20418).
#![allow(clippy::print_stdout, reason = "a test tells what it saw")]

mod chaos;
mod clients;
mod watchers;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use meridian_tests::{
    campaign::{Campaign, number},
    cluster::Cluster,
    gateway::{Gateway, GatewayPlan},
    linearize::{Operation, Verdict, check},
    release::Release,
};
use tokio::sync::Mutex;

/// Time of trouble, unless told otherwise: three kinds of it fit in.
const SECONDS: u64 = 14;

/// Keys the clients meet on.
pub(crate) const KEYS: u64 = 5;

/// What all parts of the test share.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cluster: Mutex<Cluster>,
    pub(crate) gateways: [Mutex<Gateway>; 2],
    pub(crate) urls: [String; 2],
    pub(crate) seed: u64,
    clock: AtomicU64,
    over: AtomicBool,
}

impl World {
    async fn start(release: &'static Release, seed: u64) -> Result<Arc<Self>> {
        let cluster = Cluster::triple(release).await?;
        let first = Gateway::start(&GatewayPlan::before(cluster.endpoints())).await?;
        let second = GatewayPlan {
            node: "gw-2".to_owned(),
            ..GatewayPlan::before(cluster.endpoints())
        };
        let second = Gateway::start(&second).await?;
        let urls = [first.endpoint(), second.endpoint()];
        let gateways = [Mutex::new(first), Mutex::new(second)];
        let (clock, over) = (AtomicU64::new(1), AtomicBool::new(false));
        Ok(Arc::new(Self {
            cluster: Mutex::new(cluster),
            gateways,
            urls,
            seed,
            clock,
            over,
        }))
    }

    /// A number above all that have been given.
    pub(crate) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_at_the_home_and_at_gateways_shows_in_no_history() -> Result<()> {
    let campaign = Campaign::told();
    println!("MERIDIAN_SEED={}", campaign.seed);
    run(campaign)
        .await
        .with_context(|| format!("MERIDIAN_SEED={}", campaign.seed))
}

async fn run(campaign: Campaign) -> Result<()> {
    let seconds = number("MERIDIAN_SECONDS").unwrap_or(SECONDS);
    let world = World::start(Release::newest()?, campaign.seed).await?;
    let mut writing = Vec::new();
    for client in 0..6 {
        writing.push(tokio::spawn(clients::work(world.clone(), client)));
    }
    let mut reading = Vec::new();
    for gateway in 0..2 {
        reading.push(tokio::spawn(clients::read_levels(world.clone(), gateway)));
    }
    let mut watching = Vec::new();
    for gateway in [0, 0, 1, 1] {
        watching.push(tokio::spawn(watchers::follow(world.clone(), gateway)));
    }
    chaos::make(&world, campaign.at_most(Duration::from_secs(seconds))).await?;
    world.over.store(true, Ordering::SeqCst);
    let mut history: BTreeMap<u64, Vec<Operation>> = BTreeMap::new();
    for client in writing {
        for (key, operation) in client.await?? {
            history.entry(key).or_default().push(operation);
        }
    }
    for reader in reading {
        reader.await??;
    }
    let truth = watchers::truth(&world).await?;
    for watcher in watching {
        watchers::compare(&truth, &watcher.await??)?;
    }
    judge(&history)
}

fn judge(history: &BTreeMap<u64, Vec<Operation>>) -> Result<()> {
    let (mut all, mut unknown) = (0, 0);
    for (key, operations) in history {
        all += operations.len();
        unknown += operations
            .iter()
            .filter(|operation| operation.returned.is_none())
            .count();
        match check(operations) {
            Verdict::Linearizable => {}
            Verdict::Violated(at) => {
                let near: Vec<_> = operations.iter().filter(|other| near(other, &at)).collect();
                bail!("key {key} is not linearizable at {at:?}; beside it: {near:#?}")
            }
            Verdict::Undecided => println!("key {key}: undecided, {} operations", operations.len()),
        }
    }
    println!("{all} operations, {unknown} of unknown outcome");
    ensure!(all > 500, "only {all} operations: this proves nothing");
    Ok(())
}

/// Whether two operations are within forty moments of each other.
fn near(one: &Operation, other: &Operation) -> bool {
    one.called.abs_diff(other.called) < 40
}
