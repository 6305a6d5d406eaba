//! Stopping in order: what was accepted is answered, what was acknowledged is stored.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Result, ensure};
use meridian_tests::{
    ask,
    client::Client,
    expect, plain_http,
    wait::{SOON, eventually},
    wan::Weather,
    watching::{self, Watching},
};
use rustix::process::Signal;
use tonic::Code;

use crate::region::Region;

/// Writes one key after the other until the gateway refuses; gives those that were acknowledged.
async fn write(client: Client, writer: u64, acknowledged: Arc<AtomicU64>) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for n in 0_u64.. {
        let key = format!("w{writer}/{n:06}");
        match client.put(ask::put(key.clone(), "v")).await {
            Ok(_) => {
                acknowledged.fetch_add(1, Ordering::SeqCst);
                keys.push(key);
            }
            // Refused or cut off: nothing was promised.
            Err(status) => {
                ensure!(
                    matches!(
                        status.code(),
                        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal
                    ),
                    "{status:?}"
                );
                break;
            }
        }
    }
    Ok(keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_loses_no_accepted_write() -> Result<()> {
    let mut region = Region::start("").await?;
    region.wan.set(Weather::Delay(Duration::from_millis(20)));
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut writers = Vec::new();
    for writer in 0..12 {
        writers.push(tokio::spawn(write(
            region.gateway.connect()?,
            writer,
            acknowledged.clone(),
        )));
    }
    eventually(SOON, "writes are under way", || async {
        let so_far = acknowledged.load(Ordering::SeqCst);
        ensure!(so_far > 100, "{so_far} so far");
        anyhow::Ok(())
    })
    .await?;
    region.gateway.terminate()?;
    let status = region.gateway.process().ends(SOON).await?;
    ensure!(
        status.success(),
        "it ended with {status}: {}",
        region.gateway.process().log_tail()
    );
    let home = region.home()?;
    let stored = home.range(ask::list(&"w".into())).await?.kvs;
    let stored: BTreeSet<String> = stored
        .iter()
        .map(|kv| String::from_utf8_lossy(&kv.key).into_owned())
        .collect();
    let mut told = 0;
    for writer in writers {
        for key in writer.await?? {
            ensure!(
                stored.contains(&key),
                "{key} was acknowledged and is not stored"
            );
            told += 1;
        }
    }
    // Each of the twelve had one write in flight. Draining answers it: stored and untold is a lost answer.
    expect::same("stored and not acknowledged", stored.len() - told, 0)
}

#[tokio::test]
async fn sigterm_ends_watches_so_that_clients_resume_elsewhere() -> Result<()> {
    let mut region = Region::start("").await?;
    let client = region.gateway.connect()?;
    let (mut seeing, _) = Watching::start(&client, watching::of_key("k")).await?;
    region.gateway.terminate()?;
    // clientv3 resumes on these two; anything else it hands to its user.
    let (code, text) = seeing.ends(SOON).await?;
    ensure!(
        matches!(code, Code::Unavailable | Code::Internal | Code::Unknown),
        "{code:?} {text}"
    );
    let status = region.gateway.process().ends(SOON).await?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    let mut region = Region::start("").await?;
    let client = region.gateway.connect()?;
    region.wan.set(Weather::Blackhole);
    // A call that cannot end.
    let stuck = tokio::spawn(async move { client.put(ask::put("k", "v")).await });
    tokio::task::yield_now().await;
    region.gateway.terminate()?;
    // Two signals at once are one: the second must come when the first has been taken.
    let admin = region.gateway.admin;
    eventually(SOON, "it has begun to stop", || async {
        let ready = plain_http::get(admin, "/readyz").await;
        ensure!(
            !ready.is_ok_and(|answer| answer.status.is_success()),
            "still ready"
        );
        anyhow::Ok(())
    })
    .await?;
    region.gateway.process().signal(Signal::TERM)?;
    region
        .gateway
        .process()
        .ends(Duration::from_secs(5))
        .await?;
    stuck.abort();
    Ok(())
}
