//! The lock and election services.

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::{
    etcdserverpb::LeaseRevokeRequest,
    v3electionpb::{
        CampaignRequest, LeaderRequest, LeaderResponse, ProclaimRequest, ResignRequest,
    },
    v3lockpb::{LockRequest, UnlockRequest},
};
use meridian_tests::{
    ask, cases, client::Client, conversation::Conversation, expect, suite::Scene, wait,
};
use tonic::Code;

cases!("locks";
    Alone: a_lock_is_a_key_under_its_name, a_second_one_waits_for_the_first, a_lock_goes_with_its_lease,
        a_lock_without_lease_is_given_one, unlocking_twice_is_no_fault, a_waiting_lock_can_be_given_up,
        a_campaign_makes_a_leader, nobody_elected_is_refused, observers_see_every_leader, proclaiming_changes_the_value,
        resigning_lets_the_next_one_in, proclaiming_after_resigning_is_refused;
);

async fn lease(client: &Client) -> Result<i64> {
    Ok(client.lease_grant(ask::lease(100)).await?.id)
}

async fn a_lock_is_a_key_under_its_name(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = lease(&client).await?;
    let answer = client
        .lock(LockRequest {
            name: scene.key("lock"),
            lease,
        })
        .await?;
    let expected = [&scene.key("lock")[..], format!("/{lease:x}").as_bytes()].concat();
    expect::same("key", &answer.key[..], &expected[..])?;
    ensure!(
        expect::header(answer.header.as_ref())?.cluster_id != 0,
        "no cluster id"
    );
    expect::same(
        "lease",
        client.range(ask::get(answer.key.clone())).await?.kvs[0].lease,
        lease,
    )?;
    client
        .unlock(UnlockRequest {
            key: answer.key.clone(),
        })
        .await?;
    expect::same("after", client.range(ask::get(answer.key)).await?.count, 0)
}

async fn a_second_one_waits_for_the_first(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let first = client
        .lock(LockRequest {
            name: scene.key("lock"),
            lease: lease(&client).await?,
        })
        .await?;
    let second = tokio::spawn({
        let (client, name, lease) = (client.clone(), scene.key("lock"), lease(&client).await?);
        async move { client.lock(LockRequest { name, lease }).await }
    });
    wait::eventually(wait::SOON, "the second one queues", || async {
        let queued = client.range(ask::list(&scene.key("lock"))).await?.count;
        ensure!(queued == 2, "{queued} in the queue");
        Ok(())
    })
    .await?;
    ensure!(!second.is_finished(), "two hold one lock");
    client.unlock(UnlockRequest { key: first.key }).await?;
    wait::within(wait::SOON, "the second one has it", second).await???;
    Ok(())
}

async fn a_lock_goes_with_its_lease(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = lease(&client).await?;
    client
        .lock(LockRequest {
            name: scene.key("lock"),
            lease: id,
        })
        .await?;
    client.lease_revoke(LeaseRevokeRequest { id }).await?;
    let again = client.lock(LockRequest {
        name: scene.key("lock"),
        lease: lease(&client).await?,
    });
    wait::within(wait::SOON, "the lock is free", again).await??;
    Ok(())
}

async fn a_lock_without_lease_is_given_one(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let key = client
        .lock(LockRequest {
            name: scene.key("lock"),
            lease: 0,
        })
        .await?
        .key;
    ensure!(
        client.range(ask::get(key.clone())).await?.kvs[0].lease != 0,
        "no lease"
    );
    client
        .unlock(UnlockRequest { key })
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn unlocking_twice_is_no_fault(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let key = client
        .lock(LockRequest {
            name: scene.key("lock"),
            lease: lease(&client).await?,
        })
        .await?
        .key;
    client.unlock(UnlockRequest { key: key.clone() }).await?;
    client
        .unlock(UnlockRequest { key })
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_waiting_lock_can_be_given_up(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client
        .lock(LockRequest {
            name: scene.key("lock"),
            lease: lease(&client).await?,
        })
        .await?;
    let waiting = tokio::spawn({
        let (client, name, lease) = (scene.client()?, scene.key("lock"), lease(&client).await?);
        async move { client.lock(LockRequest { name, lease }).await }
    });
    let queued = |n: i64| {
        let (client, scene) = (client.clone(), scene.clone());
        wait::eventually(wait::SOON, "the length of the queue", move || {
            let (client, scene) = (client.clone(), scene.clone());
            async move {
                let queued = client.range(ask::list(&scene.key("lock"))).await?.count;
                ensure!(queued == n, "{queued} in the queue, not {n}");
                Ok(())
            }
        })
    };
    queued(2).await?;
    // Dropping the call takes the place in the queue away.
    waiting.abort();
    queued(1).await
}

async fn campaign(
    client: &Client,
    scene: &Scene,
    value: &'static str,
) -> Result<meridian_etcd_api::v3electionpb::LeaderKey> {
    let request = CampaignRequest {
        name: scene.key("office"),
        lease: lease(client).await?,
        value: value.into(),
    };
    client
        .campaign(request)
        .await?
        .leader
        .context("a campaign answers the leader's key")
}

async fn a_campaign_makes_a_leader(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let key = campaign(&client, &scene, "me").await?;
    expect::same("name", &key.name, &scene.key("office"))?;
    let answer = client
        .election_leader(LeaderRequest {
            name: scene.key("office"),
        })
        .await?;
    let kv = answer.kv.context("a leader has a key-value")?;
    let found = (&kv.key, &kv.value[..], kv.create_revision, kv.lease);
    expect::same("leader", found, (&key.key, &b"me"[..], key.rev, key.lease))
}

async fn nobody_elected_is_refused(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .election_leader(LeaderRequest {
            name: scene.key("office"),
        })
        .await;
    expect::refused(answer, Code::Unknown, "election: no leader")
}

async fn observers_see_every_leader(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let leader = campaign(&client, &scene, "first").await?;
    let mut stream: Conversation<LeaderRequest, LeaderResponse> = client.listen(
        "/v3electionpb.Election/Observe",
        LeaderRequest {
            name: scene.key("office"),
        },
    );
    let seen = |answer: LeaderResponse| answer.kv.map(|kv| kv.value);
    expect::same("at first", seen(stream.next().await?), Some("first".into()))?;
    let proclaim = ProclaimRequest {
        leader: Some(leader.clone()),
        value: "second".into(),
    };
    client.proclaim(proclaim).await?;
    expect::same(
        "proclaimed",
        seen(stream.next().await?),
        Some("second".into()),
    )?;
    client
        .resign(ResignRequest {
            leader: Some(leader),
        })
        .await?;
    campaign(&client, &scene, "third").await?;
    expect::same("elected", seen(stream.next().await?), Some("third".into()))
}

async fn proclaiming_changes_the_value(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let leader = campaign(&client, &scene, "before").await?;
    client
        .proclaim(ProclaimRequest {
            leader: Some(leader.clone()),
            value: "after".into(),
        })
        .await?;
    expect::same(
        "value",
        &client.range(ask::get(leader.key)).await?.kvs[0].value[..],
        &b"after"[..],
    )
}

async fn resigning_lets_the_next_one_in(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let first = campaign(&client, &scene, "first").await?;
    let second = tokio::spawn({
        let (client, scene) = (client.clone(), scene.clone());
        async move { campaign(&client, &scene, "second").await }
    });
    client
        .resign(ResignRequest {
            leader: Some(first),
        })
        .await?;
    wait::within(wait::SOON, "the second one leads", second).await???;
    let leader = client
        .election_leader(LeaderRequest {
            name: scene.key("office"),
        })
        .await?;
    expect::same(
        "leader",
        leader.kv.map(|kv| kv.value),
        Some("second".into()),
    )
}

async fn proclaiming_after_resigning_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let leader = campaign(&client, &scene, "me").await?;
    client
        .resign(ResignRequest {
            leader: Some(leader.clone()),
        })
        .await?;
    let late = ProclaimRequest {
        leader: Some(leader),
        value: "late".into(),
    };
    expect::refused(
        client.proclaim(late).await,
        Code::Unknown,
        "election: not leader",
    )
}
