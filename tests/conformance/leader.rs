//! What happens when the home has lost its quorum: who is told, who waits, who reads on.
//!
//! The embedded home is one node and has no quorum to lose: these cases are skipped there.

use std::time::Duration;

use anyhow::{Result, ensure};
use meridian_etcd_api::etcdserverpb::{RangeRequest, WatchCreateRequest};
use meridian_tests::{
    ask, cases, expect,
    suite::{Scene, skipped},
    target::{Target, Wish},
    wait,
    watching::{self, Watching},
};
use tonic::Code;

cases!("leader";
    Own: a_watch_that_requires_a_leader_is_told, a_plain_watch_waits_and_goes_on, serializable_reads_go_on,
        linearizable_calls_fail_in_time;
    Shared: with_a_leader_the_metadata_changes_nothing;
);

const NO_LEADER: &str = "etcdserver: no leader";

/// Above three elections of etcd and above any sane patience of a gateway.
const TOLD_WITHIN: Duration = Duration::from_secs(15);

/// A target whose home has three members; the first stays when quorum is lost.
async fn three_members(scene: &Scene) -> Result<Target> {
    if scene.kind().is_embedded() {
        return Err(skipped(
            "the embedded home is one node: it has no quorum to lose",
        ));
    }
    let three = Wish {
        members: 3,
        flags: Vec::new(),
    };
    scene.fresh(&three).await
}

async fn lose_quorum(target: &Target) -> Result<()> {
    let mut cluster = target.cluster().await?;
    cluster.kill(1);
    cluster.kill(2);
    Ok(())
}

async fn find_quorum(target: &Target) -> Result<()> {
    let mut cluster = target.cluster().await?;
    cluster.restart(1)?;
    cluster.restart(2)?;
    cluster.recovered(0).await
}

async fn with_a_leader_the_metadata_changes_nothing(scene: Scene) -> Result<()> {
    let client = scene.client()?.requiring_leader()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    client.put(ask::put(scene.key("k"), "")).await?;
    watching.events(1).await?;
    expect::same(
        "count",
        client.range(ask::get(scene.key("k"))).await?.count,
        1,
    )
}

async fn a_watch_that_requires_a_leader_is_told(scene: Scene) -> Result<()> {
    let target = three_members(&scene).await?;
    let client = target.connect()?.requiring_leader()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key("k")).await?;
    lose_quorum(&target).await?;
    expect::same(
        "end",
        watching.ends(TOLD_WITHIN).await?,
        (Code::Unavailable, NO_LEADER.to_owned()),
    )?;
    let mut late = Watching::open(&client);
    late.create(watching::of_key("k"));
    expect::same(
        "a new one",
        late.ends(TOLD_WITHIN).await?,
        (Code::Unavailable, NO_LEADER.to_owned()),
    )?;
    for serializable in [false, true] {
        let call = client.range(RangeRequest {
            serializable,
            ..ask::get("k")
        });
        expect::refused(
            wait::within(Duration::from_secs(2), "a refusal", call).await?,
            Code::Unavailable,
            NO_LEADER,
        )?;
    }
    let call = client.put(ask::put("k", ""));
    expect::refused(
        wait::within(Duration::from_secs(2), "a refusal", call).await?,
        Code::Unavailable,
        NO_LEADER,
    )
}

async fn a_plain_watch_waits_and_goes_on(scene: Scene) -> Result<()> {
    let target = three_members(&scene).await?;
    let (client, strict) = (target.connect()?, target.connect()?.requiring_leader()?);
    let (mut plain, _) = Watching::start(
        &client,
        WatchCreateRequest {
            prev_kv: true,
            ..watching::of_key("k")
        },
    )
    .await?;
    let (mut told, _) = Watching::start(&strict, watching::of_key("k")).await?;
    lose_quorum(&target).await?;
    told.ends(TOLD_WITHIN).await?;
    find_quorum(&target).await?;
    wait::eventually(wait::SOON, "writes are accepted again", || {
        client.put(ask::put("k", "after"))
    })
    .await?;
    let event = plain.batch().await?.events.remove(0);
    expect::same("value", event.kv.map(|kv| kv.value), Some("after".into()))
}

async fn serializable_reads_go_on(scene: Scene) -> Result<()> {
    let target = three_members(&scene).await?;
    let client = target.connect()?;
    let at = expect::revision(client.put(ask::put("k", "1")).await?.header.as_ref())?;
    let local = || RangeRequest {
        serializable: true,
        ..ask::get("k")
    };
    wait::eventually(wait::SOON, "the write is seen", || async {
        let answer = client.range(local()).await?;
        ensure!(expect::revision(answer.header.as_ref())? >= at, "not yet");
        Ok(())
    })
    .await?;
    lose_quorum(&target).await?;
    for _ in 0..50 {
        let answer = wait::within(
            Duration::from_secs(1),
            "a local read",
            client.range(local()),
        )
        .await??;
        expect::same("value", &answer.kvs[0].value[..], &b"1"[..])?;
    }
    Ok(())
}

async fn linearizable_calls_fail_in_time(scene: Scene) -> Result<()> {
    let target = three_members(&scene).await?;
    let client = target.connect()?;
    client.put(ask::put("k", "1")).await?;
    lose_quorum(&target).await?;
    // etcd's own limit is 5 s and two elections.
    let (read, write) = tokio::join!(client.range(ask::get("k")), client.put(ask::put("k", "2")));
    expect::refused_with(read, Code::Unavailable, |_| true)?;
    expect::refused_with(write, Code::Unavailable, |_| true)
}
