//! Goal: the log crosses the WAN once per region, however many gateways a region has.
//!
//! Method: three regions, ten gateways in one; what the emulator carried is counted, while idle and for
//! as long while 1,000 revisions are written. The difference is what the log costs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    ask,
    regions::{PREFIX, Regions, RegionsPlan},
    wan::Load,
};

use crate::{STUCK, alone, follow, judge};

/// Revisions written.
const REVISIONS: u64 = 1_000;

/// Bytes of each value; random text, so that compression can do little about it.
const VALUE_BYTES: usize = 600;

/// How long each measure takes: at 250 revisions a second.
const SPELL: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wan_bytes_grow_with_regions_not_with_gateways() -> Result<()> {
    let _machine = alone().await;
    let plan = RegionsPlan::of(&[("eu", 10), ("ap", 1), ("sa", 1)])?;
    let regions = Regions::start(&plan).await?;
    for region in ["eu", "ap", "sa"] {
        regions.settled(region).await?;
    }
    let (followers, from) = follow(&regions).await?;
    let idle = spell(&regions, 0).await?;
    let busy = spell(&regions, REVISIONS).await?;
    let mut log = Vec::new();
    for (region, (idle, busy)) in ["eu", "ap", "sa"].iter().zip(idle.iter().zip(&busy)) {
        let net = busy.wire_bytes.saturating_sub(idle.wire_bytes);
        println!(
            "{region}: idle {} B/s, busy {} B/s; the log: {net} B, {} B per revision of {VALUE_BYTES} B",
            idle.wire_bytes / SPELL.as_secs(),
            busy.wire_bytes / SPELL.as_secs(),
            net / REVISIONS
        );
        log.push(net);
    }
    judge(&regions, followers, from).await?;
    let one = log.get(1).copied().context("ap")?;
    ensure!(
        one > REVISIONS * 300,
        "{one} bytes cannot have held the log"
    );
    for (region, net) in ["eu", "sa"].iter().zip([log[0], log[2]]) {
        // Ten nodes' heartbeats carry positions, too: a little more than one copy, and far from two.
        let share = net as f64 / one as f64;
        ensure!(
            (0.75..1.3).contains(&share),
            "{region} took {share:.2} times what ap did"
        );
    }
    Ok(())
}

/// What hubs send to each region during one spell in which so many revisions are written.
async fn spell(regions: &Regions, revisions: u64) -> Result<Vec<Load>> {
    let before: Vec<Load> = ["eu", "ap", "sa"].map(|r| regions.wan_load(r).0).into();
    let (started, home, mut last) = (Instant::now(), regions.home()?, 0);
    let mut clock = tokio::time::interval(SPELL / u32::try_from(revisions.max(1))?);
    for n in 0..revisions {
        clock.tick().await;
        let value: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(VALUE_BYTES)
            .collect();
        let put = home.put(ask::put(format!("{PREFIX}{n}"), value)).await?;
        last = put.header.context("a header")?.revision;
    }
    for n in 0..regions.nodes.len() {
        regions.reaches(n, last, STUCK).await?;
    }
    tokio::time::sleep_until((started + SPELL + Duration::from_millis(500)).into()).await;
    let after = ["eu", "ap", "sa"].map(|r| regions.wan_load(r).0);
    Ok(after
        .into_iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect())
}
