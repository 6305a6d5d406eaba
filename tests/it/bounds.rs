//! What watchers can make a gateway hold is bounded, and all get everything.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    ask,
    wait::within,
    watching::{self, Watching},
};

use crate::region::Region;

/// Resident bytes of a process.
pub(crate) fn resident(pid: u32) -> Result<usize> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("no VmRSS")?;
    let kib: usize = line
        .split_whitespace()
        .nth(1)
        .context("no number")?
        .parse()?;
    Ok(kib * 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_that_do_not_read_hold_little_and_slow_nobody() -> Result<()> {
    // 32 MiB of history: what slow watchers are behind is read again from the home.
    let mut region = Region::start("history_bytes = 33554432").await?;
    let client = region.gateway.connect()?;
    let mut slow = Vec::new();
    for _ in 0..40 {
        // On connections of their own: a stalled one fills its flow control window.
        slow.push(
            Watching::start(&region.gateway.connect()?, watching::of_key("k"))
                .await?
                .0,
        );
    }
    let (mut quick, _) = Watching::start(&region.gateway.connect()?, watching::of_key("k")).await?;
    let before = resident(region.gateway.process().id())?;
    // 100 MB of events for each: 4 GB, were they kept.
    for n in 0..200_u32 {
        client.put(ask::put("k", vec![b'v'; 500_000])).await?;
        let event = within(Duration::from_secs(5), "a quick event", quick.batch()).await??;
        ensure!(
            event.events.len() == 1,
            "{n}: {} events",
            event.events.len()
        );
    }
    let grown = resident(region.gateway.process().id())?.saturating_sub(before);
    ensure!(grown < 600 << 20, "grown by {} MB", grown >> 20);
    // And the slow ones get everything, when they read.
    let mut first = slow.remove(0);
    let events = first.events(200).await?;
    let revisions: Vec<i64> = events
        .iter()
        .filter_map(|event| Some(event.kv.as_ref()?.mod_revision))
        .collect();
    ensure!(
        revisions.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "a gap: {revisions:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watchers_all_get_everything() -> Result<()> {
    let region = Region::start("").await?;
    let client = region.gateway.connect()?;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut watching = Watching::open(&client);
        for n in 0..50 {
            watching.created(watching::of_key(format!("k{n}"))).await?;
        }
        streams.push(watching);
    }
    for n in 0..50 {
        client.put(ask::put(format!("k{n}"), "")).await?;
    }
    for watching in &mut streams {
        let mut ids: Vec<i64> = Vec::new();
        while ids.len() < 50 {
            ids.push(watching.batch().await?.watch_id);
        }
        ensure!(ids == (0..50).collect::<Vec<_>>(), "{ids:?}");
    }
    Ok(())
}
