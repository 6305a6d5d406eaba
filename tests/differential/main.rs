//! The same random requests to stock etcd and to a gateway, every answer compared field by field.
//!
//! `MERIDIAN_SEED` reruns a seed, `MERIDIAN_STEPS` makes a run as long as one likes, `MERIDIAN_MINUTES` ends it
//! early. Each run prints seed and steps.
#![allow(clippy::print_stdout, reason = "a test tells what it saw")]

mod compared;

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use meridian_tests::{
    campaign::{Campaign, number},
    client::Client,
    generate::Source,
    release::Release,
    target::{Kind, Target, Wish},
    watching::Watching,
};

/// Steps of a run that is not told otherwise: some seconds.
const STEPS: usize = 700;

/// Watches on each side, of random spans, filters and so on.
const WATCHES: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_before_every_etcd_answers_as_etcd() -> Result<()> {
    for release in Release::installed()? {
        compare(Kind::Etcd(release), Kind::Gateway(release)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_behind_the_link_answers_as_etcd() -> Result<()> {
    let release = Release::newest()?;
    compare(Kind::Etcd(release), Kind::Region(release)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_before_the_embedded_home_answers_as_etcd() -> Result<()> {
    let etcd = Kind::Etcd(Release::newest()?);
    compare(etcd, Kind::DevUs).await?;
    compare(etcd, Kind::DevEu).await
}

/// Proves the method: two etcds must not be told apart either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_answers_as_etcd() -> Result<()> {
    let etcd = Kind::Etcd(Release::newest()?);
    compare(etcd, etcd).await
}

async fn compare(left: Kind, right: Kind) -> Result<()> {
    let campaign = Campaign::told();
    let seed = campaign.seed;
    let steps = number("MERIDIAN_STEPS").unwrap_or(STEPS);
    let told = format!(
        "MERIDIAN_SEED={seed} MERIDIAN_STEPS={steps}: {} and {}",
        left.name(),
        right.name()
    );
    println!("{told}");
    run(left, right, campaign, steps)
        .await
        .map_err(|error| error.context(told))
}

async fn run(left: Kind, right: Kind, campaign: Campaign, steps: usize) -> Result<()> {
    let wish = Wish::default();
    let (mut left, mut right) = (
        Target::start(left, &wish).await?,
        Target::start(right, &wish).await?,
    );
    match compare_targets(&left, &right, campaign, steps).await {
        Ok(()) => Ok(()),
        Err(error) => Err(error
            .context(left.log_tails().await)
            .context(right.log_tails().await)),
    }
}

async fn compare_targets(
    left: &Target,
    right: &Target,
    campaign: Campaign,
    steps: usize,
) -> Result<()> {
    let started = Instant::now();
    let (one, other) = (left.connect()?, right.connect()?);
    let mut source = Source::new(campaign.seed);
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let request = source.watch();
        let (first, _) = Watching::start(&one, request.clone()).await?;
        let (second, _) = Watching::start(&other, request.clone()).await?;
        watches.push((request, first, second));
    }
    for n in 0..steps {
        if campaign.is_over(started) {
            println!("time is up after {n} steps");
            break;
        }
        let step = source.step();
        let (first, second) = tokio::join!(
            compared::answer(&one, &step),
            compared::answer(&other, &step)
        );
        if first != second {
            let (left, right) = (compared::keys(&one).await, compared::keys(&other).await);
            bail!(
                "step {n}: {step:?}\n  left:  {first:?}\n  right: {second:?}\n  keys left:  {left:?}\n  keys right: {right:?}"
            );
        }
        source.revision = first.revision().max(source.revision);
    }
    for (request, first, second) in watches {
        let events = compared::events(&one, first, &request).await?;
        let others = compared::events(&other, second, &request).await?;
        ensure!(
            events == others,
            "{request:?}\n  left:  {events:?}\n  right: {others:?}"
        );
    }
    let keeps = [left, right]
        .iter()
        .filter_map(|target| target.release())
        .all(Release::keeps_deletions_at_compactions);
    same_history(&one, &other, keeps).await
}

/// Everything that either still knows of the past; but for the deletions at a compaction, if the home does not
/// keep them: a gateway that has them in its own history tells more than it.
async fn same_history(one: &Client, other: &Client, keeps: bool) -> Result<()> {
    let (mut first, mut second) = (
        compared::history(one).await?,
        compared::history(other).await?,
    );
    if !keeps {
        first = first.without_deletions_at_the_compaction();
        second = second.without_deletions_at_the_compaction();
    }
    ensure!(
        first == second,
        "the histories differ\n  left:  {first:?}\n  right: {second:?}"
    );
    Ok(())
}
