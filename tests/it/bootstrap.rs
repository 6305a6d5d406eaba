//! A replica is whole or it is not used: while it is built, and when the home has gone on without it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use meridian_etcd_api::etcdserverpb::{CompactionRequest, RangeRequest, WatchCreateRequest};
use meridian_tests::{
    ask,
    client::Client,
    cluster::Cluster,
    expect,
    gateway::Gateway,
    plain_http,
    release::Release,
    wait::{SOON, eventually},
    wan::{Wan, Weather},
    watching::{self, Watching},
};
use tonic::Code;

use crate::region::{Region, local, plan};

/// Keys of a keyspace that takes a while to fetch.
const KEYS: i64 = 3_000;

async fn fill(client: &Client) -> Result<()> {
    for from in (0..KEYS).step_by(100) {
        let puts = (from..from + 100).map(|n| ask::op_put(format!("k{n:05}"), vec![b'v'; 500]));
        client.txn(ask::all_of(puts.collect())).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_partial_replica_is_never_served() -> Result<()> {
    let cluster = Cluster::single(Release::newest()?).await?;
    fill(&Client::connect(&cluster.endpoint(0))?).await?;
    let wan = Wan::start(cluster.address(0)).await?;
    // 1.5 MB of keys: some seconds of building.
    wan.set(Weather::Slow(600_000));
    let gateway = Gateway::launch(&plan(&wan, ""))?;
    let count = |serializable| RangeRequest {
        serializable,
        count_only: true,
        ..ask::list(&"k".into())
    };
    let (client, mut refused) = (gateway.connect()?, 0);
    let started = Instant::now();
    let whole = loop {
        ensure!(
            started.elapsed() < Duration::from_secs(40),
            "not whole after {refused} refusals"
        );
        match client.range(count(true)).await {
            Ok(answer) => break answer.count,
            Err(status) => {
                expect::same("code", status.code(), Code::Unavailable)?;
                refused += 1;
                // Not listening yet, or saying no: but never yes.
                let ready = plain_http::get(gateway.admin, "/readyz").await;
                let served = client.range(count(true)).await.is_ok();
                ensure!(
                    served || !ready.is_ok_and(|answer| answer.status.is_success()),
                    "ready, but not serving"
                );
            }
        }
    };
    expect::same("keys in the first answer", whole, KEYS)?;
    ensure!(
        refused > 0,
        "the replica was whole at once: this proves nothing"
    );
    expect::same(
        "linearizable",
        gateway.connect()?.range(count(false)).await?.count,
        KEYS,
    )
}

#[tokio::test]
async fn linearizable_calls_are_forwarded_while_the_replica_is_built() -> Result<()> {
    let cluster = Cluster::single(Release::newest()?).await?;
    fill(&Client::connect(&cluster.endpoint(0))?).await?;
    let wan = Wan::start(cluster.address(0)).await?;
    wan.set(Weather::Slow(400_000));
    let gateway = Gateway::launch(&plan(&wan, ""))?;
    let client = gateway.connect()?;
    let read = || RangeRequest {
        count_only: true,
        ..ask::list(&"k".into())
    };
    let answer = eventually(SOON, "it is forwarded", || client.range(read())).await?;
    expect::same("count", answer.count, KEYS)?;
    client.put(ask::put("new", "v")).await?;
    expect::same("own write", client.range(ask::get("new")).await?.count, 1)?;
    // All that while there was no replica: what is only served from one is refused, and says what to do.
    expect::refused_with(
        client.range(local("new")).await,
        Code::Unavailable,
        |text| text.contains("replica"),
    )?;
    let ready = plain_http::get(gateway.admin, "/readyz").await?;
    ensure!(!ready.status.is_success(), "ready without a replica");
    wan.set(Weather::Clear);
    let answer = eventually(SOON, "the replica is whole", || client.range(local("new"))).await?;
    expect::same("local count", answer.count, 1)
}

#[tokio::test]
async fn a_home_compacted_past_the_replica_makes_it_anew() -> Result<()> {
    let mut region = Region::start("").await?;
    let (home, client) = (region.home()?, region.gateway.connect()?);
    for n in 0..20 {
        home.put(ask::put(format!("k{n}"), "before")).await?;
    }
    // The replica is up to date from here on, and so is the watch.
    client.range(ask::get("k0")).await?;
    let (mut seeing, _) = Watching::start(&client, watching::of_prefix(&"k".into())).await?;
    region.wan.set(Weather::Cut);
    let mut last = 0;
    for n in 0..50 {
        last = expect::revision(
            home.put(ask::put(format!("k{n}"), "away"))
                .await?
                .header
                .as_ref(),
        )?;
    }
    home.delete(ask::delete("k3")).await?;
    let last = last + 1;
    home.compact(CompactionRequest {
        revision: last,
        physical: true,
    })
    .await?;
    // What it has it still serves.
    expect::same(
        "old value",
        &client.range(local("k5")).await?.kvs[0].value[..],
        &b"before"[..],
    )?;
    region.wan.set(Weather::Clear);
    eventually(SOON, "the replica has caught up", || async {
        let answer = client
            .range(RangeRequest {
                serializable: true,
                ..ask::list(&"k".into())
            })
            .await?;
        ensure!(expect::revision(answer.header.as_ref())? >= last, "not yet");
        ensure!(
            answer.kvs.iter().all(|kv| &kv.value[..] == b"away"),
            "a stale value"
        );
        expect::same("keys", answer.count, 49)
    })
    .await?;
    // A watch that missed compacted history must be told; silence would be a gap.
    let told = loop {
        let answer = seeing.next().await?;
        if answer.canceled {
            break answer;
        }
        ensure!(answer.events.is_empty(), "events after a gap: {answer:?}");
    };
    expect::same("compaction", told.compact_revision, last)?;
    region.gateway.ready().await
}

#[tokio::test]
async fn the_feed_resumes_without_a_gap_after_the_home_was_away() -> Result<()> {
    let region = Region::start("").await?;
    let (home, client) = (region.home()?, region.gateway.connect()?);
    let (mut seeing, created) = Watching::start(&client, watching::of_prefix(&"k".into())).await?;
    let first = expect::revision(created.header.as_ref())? + 1;
    for round in 0..5 {
        region.wan.set(if round % 2 == 0 {
            Weather::Cut
        } else {
            Weather::Clear
        });
        for n in 0..20 {
            home.put(ask::put(format!("k{n}"), "")).await?;
        }
    }
    region.wan.set(Weather::Clear);
    let events = seeing.events(100).await?;
    let found: Vec<i64> = events
        .iter()
        .filter_map(|event| Some(event.kv.as_ref()?.mod_revision))
        .collect();
    expect::same("revisions", found, (first..first + 100).collect::<Vec<_>>())
}

#[tokio::test]
async fn history_older_than_the_replicas_comes_from_the_home() -> Result<()> {
    let region = Region::start("history_revisions = 50").await?;
    let client = region.gateway.connect()?;
    let mut first = 0;
    for n in 0..600 {
        let at = expect::revision(
            client
                .put(ask::put("k", n.to_string()))
                .await?
                .header
                .as_ref(),
        )?;
        first = if n == 0 { at } else { first };
    }
    let old = client
        .range(RangeRequest {
            revision: first,
            ..ask::get("k")
        })
        .await?;
    expect::same("old value", &old.kvs[0].value[..], &b"0"[..])?;
    let request = WatchCreateRequest {
        start_revision: first,
        prev_kv: true,
        ..watching::of_key("k")
    };
    let (mut seeing, _) = Watching::start(&client, request).await?;
    // Handed over from the home to the replica, while writes go on.
    let writer = tokio::spawn({
        let client = client.clone();
        async move {
            for n in 600..900 {
                client.put(ask::put("k", n.to_string())).await?;
            }
            anyhow::Ok(())
        }
    });
    let events = seeing.events(900).await?;
    writer.await??;
    for (n, event) in events.iter().enumerate() {
        let kv = event
            .kv
            .as_ref()
            .map(|kv| (kv.mod_revision, kv.value.clone()));
        expect::same(
            "event",
            kv,
            Some((first + i64::try_from(n)?, n.to_string().into())),
        )?;
        expect::same("prev_kv", event.prev_kv.is_some(), n > 0)?;
    }
    Ok(())
}

#[tokio::test]
async fn readiness_follows_staleness() -> Result<()> {
    let mut region = Region::start("ready_staleness = \"1s\"").await?;
    region.wan.set(Weather::Blackhole);
    let admin = region.gateway.admin;
    eventually(SOON, "it is not ready", || async {
        let answer = plain_http::get(admin, "/readyz").await?;
        ensure!(!answer.status.is_success(), "still ready");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    let health = plain_http::get(admin, "/healthz").await?;
    ensure!(
        health.status.is_success(),
        "stale is not broken: {}",
        health.status
    );
    region.wan.set(Weather::Clear);
    region.gateway.ready().await
}
