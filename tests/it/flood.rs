//! A client that floods a stream with watches: it is bounded, and nobody else feels it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::etcdserverpb::WatchCreateRequest;
use meridian_tests::{
    ask,
    client::Client,
    gateway::Gateway,
    plain_http,
    wait::{SOON, eventually, within},
    wan::{Wan, Weather},
    watching::{self, Watching},
};

use crate::{bounds::resident, region::Region};

/// Creations sent: three times what one stream may have.
const CREATIONS: u32 = 200_000;

/// The flood has reached the gateway when it has this many watchers.
const REACHED: u64 = 10_000;

/// Watchers of one stream, as the gateway bounds them.
const WATCHERS_MAX: u64 = 65_536;

/// The flood stands when the number has not changed for this long.
const STANDS: Duration = Duration::from_millis(600);

/// 65,536 watchers of some hundred bytes, their answers, and what the allocator keeps.
const GROWTH_MAX: usize = 200 << 20;

async fn watchers(gateway: &Gateway) -> Result<u64> {
    let status = plain_http::get(gateway.admin, "/status.json")
        .await?
        .json()?;
    status["watchers"]
        .as_u64()
        .context("the status tells no watchers")
}

/// Looks on until the flood has come as far as it gets; the watchers there are then.
async fn stands(gateway: &Gateway) -> Result<u64> {
    let started = Instant::now();
    let (mut count, mut since) = (0, Instant::now());
    while count < REACHED || since.elapsed() < STANDS {
        ensure!(
            started.elapsed() < Duration::from_secs(40),
            "{count} watchers, and no end"
        );
        let now = watchers(gateway).await?;
        if now != count {
            (count, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(count)
}

/// A flood on a way of its own to the gateway, which the test can cut: hyper's client resets no stream whose
/// requests are still waiting.
async fn flood(gateway: &Gateway) -> Result<(Watching, Wan)> {
    let way = Wan::start(gateway.client).await?;
    let mut flood = Watching::open(&Client::connect(&way.endpoint())?);
    for n in 0..CREATIONS {
        flood.create(WatchCreateRequest {
            start_revision: 1,
            ..watching::of_key(format!("k{n}"))
        });
    }
    Ok((flood, way))
}

/// Others write, read and watch as if nothing were.
async fn others_are_served(client: &Client) -> Result<()> {
    let started = Instant::now();
    let (mut seeing, _) = Watching::start(client, watching::of_key("other")).await?;
    for n in 0..100_u32 {
        client.put(ask::put("other", n.to_string())).await?;
        client.range(ask::get("other")).await?;
        within(SOON, "an event beside the flood", seeing.events(1)).await??;
    }
    let taken = started.elapsed();
    ensure!(
        taken < Duration::from_secs(5),
        "a hundred rounds took {taken:?}"
    );
    Ok(())
}

/// The flood is over: what it held is let go.
async fn drains(gateway: &Gateway) -> Result<()> {
    eventually(SOON, "its watchers are gone", || async {
        let count = watchers(gateway).await?;
        ensure!(count == 0, "{count} are left");
        anyhow::Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_reads_no_answer_is_bounded() -> Result<()> {
    let mut region = Region::start("").await?;
    let client = region.gateway.connect()?;
    let before = resident(region.gateway.process().id())?;
    let (_flooding, way) = flood(&region.gateway).await?;
    let count = stands(&region.gateway).await?;
    ensure!(count <= WATCHERS_MAX, "{count} watchers on one stream");
    others_are_served(&client).await?;
    let grown = resident(region.gateway.process().id())?.saturating_sub(before);
    println!("{count} watchers, grown by {} MB", grown >> 20);
    ensure!(grown < GROWTH_MAX, "grown by {} MB", grown >> 20);
    way.set(Weather::Cut);
    drains(&region.gateway).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_reads_is_told_where_it_ends() -> Result<()> {
    let mut region = Region::start("").await?;
    let client = region.gateway.connect()?;
    let before = resident(region.gateway.process().id())?;
    let (mut flooding, way) = flood(&region.gateway).await?;
    let (mut created, mut refused) = (0_u64, 0_u64);
    while refused == 0 {
        let answer = flooding.next().await?;
        ensure!(answer.created, "neither made nor refused: {answer:?}");
        if answer.canceled {
            refused += 1;
            ensure!(!answer.cancel_reason.is_empty(), "no reason: {answer:?}");
            println!("refused after {created}: {}", answer.cancel_reason);
        } else {
            created += 1;
        }
    }
    ensure!(
        created == WATCHERS_MAX,
        "{created} watchers before the first refusal"
    );
    others_are_served(&client).await?;
    let grown = resident(region.gateway.process().id())?.saturating_sub(before);
    ensure!(grown < GROWTH_MAX, "grown by {} MB", grown >> 20);
    way.set(Weather::Cut);
    drains(&region.gateway).await
}
