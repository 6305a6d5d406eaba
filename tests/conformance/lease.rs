//! Leases: granting, looking up, revoking, expiring.

use std::time::Duration;

use anyhow::{Result, ensure};
use meridian_etcd_api::{
    etcdserverpb::{
        LeaseGrantRequest, LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest,
        PutRequest,
    },
    mvccpb::event::EventType,
};
use meridian_tests::{
    ask, cases, client::Client, expect, suite::Scene, wait, watching, watching::Watching,
};
use tonic::Code;

cases!("lease";
    Alone: the_server_chooses_an_id, a_chosen_id_is_kept, an_id_is_granted_once, a_short_ttl_is_raised,
        the_longest_ttl_is_nine_billion_seconds, a_longer_ttl_is_refused, time_to_live_of_a_lease,
        time_to_live_lists_keys_when_asked, time_to_live_of_an_unknown_lease_is_minus_one,
        revoking_deletes_the_keys_in_one_revision, revoking_without_keys_uses_no_revision,
        revoking_an_unknown_lease_is_refused, leases_are_listed, a_key_moves_with_its_newest_lease,
        an_id_below_zero;
    Shared: an_expired_lease_takes_its_keys_in_one_revision;
);

const NOT_FOUND: &str = "etcdserver: requested lease not found";

async fn grant(client: &Client, ttl: i64) -> Result<i64> {
    Ok(client.lease_grant(ask::lease(ttl)).await?.id)
}

async fn attach(client: &Client, scene: &Scene, name: &str, lease: i64) -> Result<()> {
    client
        .put(PutRequest {
            lease,
            ..ask::put(scene.key(name), "")
        })
        .await?;
    Ok(())
}

async fn the_server_chooses_an_id(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (first, second) = (grant(&client, 100).await?, grant(&client, 100).await?);
    ensure!(
        first > 0 && second > 0 && first != second,
        "ids {first} and {second}"
    );
    let answer = client.lease_grant(ask::lease(100)).await?;
    expect::same(
        "ttl and error",
        (answer.ttl, answer.error.as_str()),
        (100, ""),
    )
}

async fn a_chosen_id_is_kept(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = 0x1234_5601;
    let answer = client
        .lease_grant(LeaseGrantRequest { ttl: 100, id })
        .await?;
    expect::same("id", answer.id, id)
}

async fn an_id_is_granted_once(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = LeaseGrantRequest {
        ttl: 100,
        id: 0x1234_5602,
    };
    client.lease_grant(request).await?;
    let again = client.lease_grant(request).await;
    expect::refused(
        again,
        Code::FailedPrecondition,
        "etcdserver: lease already exists",
    )?;
    client
        .lease_revoke(LeaseRevokeRequest { id: request.id })
        .await?;
    client
        .lease_grant(request)
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_short_ttl_is_raised(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let least = client.lease_grant(ask::lease(0)).await?.ttl;
    ensure!((1..=5).contains(&least), "the shortest lease is {least} s");
    for ttl in [-7, i64::MIN] {
        expect::same(
            "raised",
            client.lease_grant(ask::lease(ttl)).await?.ttl,
            least,
        )?;
    }
    expect::same(
        "kept",
        client.lease_grant(ask::lease(least + 1)).await?.ttl,
        least + 1,
    )
}

async fn the_longest_ttl_is_nine_billion_seconds(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let answer = client.lease_grant(ask::lease(9_000_000_000)).await?;
    expect::same("ttl", answer.ttl, 9_000_000_000)?;
    client
        .lease_revoke(LeaseRevokeRequest { id: answer.id })
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_longer_ttl_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for ttl in [9_000_000_001, i64::MAX] {
        let answer = client.lease_grant(ask::lease(ttl)).await;
        expect::refused(answer, Code::OutOfRange, "etcdserver: too large lease TTL")?;
    }
    Ok(())
}

async fn time_to_live_of_a_lease(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    attach(&client, &scene, "k", id).await?;
    let answer = client
        .lease_time_to_live(LeaseTimeToLiveRequest { id, keys: false })
        .await?;
    expect::same(
        "lease",
        (answer.id, answer.granted_ttl, answer.keys.len()),
        (id, 100, 0),
    )?;
    ensure!(
        (95..=100).contains(&answer.ttl),
        "{} s are left of 100",
        answer.ttl
    );
    Ok(())
}

async fn time_to_live_lists_keys_when_asked(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    for name in ["b", "a", "c"] {
        attach(&client, &scene, name, id).await?;
    }
    client.delete(ask::delete(scene.key("c"))).await?;
    let mut keys = client
        .lease_time_to_live(LeaseTimeToLiveRequest { id, keys: true })
        .await?
        .keys;
    // etcd keeps them in a hash map: any order is etcd's.
    keys.sort();
    expect::same("keys", keys, super::range::keys(&scene, &["a", "b"]))
}

async fn time_to_live_of_an_unknown_lease_is_minus_one(scene: Scene) -> Result<()> {
    let id = 0x1234_5603;
    let answer = scene
        .client()?
        .lease_time_to_live(LeaseTimeToLiveRequest { id, keys: true })
        .await?;
    expect::same(
        "lease",
        (answer.id, answer.ttl, answer.granted_ttl, answer.keys.len()),
        (id, -1, 0, 0),
    )
}

async fn revoking_deletes_the_keys_in_one_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    for name in ["b", "a", "c"] {
        attach(&client, &scene, name, id).await?;
    }
    let before = expect::revision(client.range(ask::get("k")).await?.header.as_ref())?;
    let (mut watching, _) = Watching::start(&client, watching::of_prefix(&scene.prefix())).await?;
    let answer = client.lease_revoke(LeaseRevokeRequest { id }).await?;
    expect::same(
        "revision",
        expect::revision(answer.header.as_ref())?,
        before + 1,
    )?;
    let events = watching.batch().await?.events;
    let keys: Vec<_> = events
        .iter()
        .filter_map(|event| Some(event.kv.as_ref()?.key.clone()))
        .collect();
    expect::same(
        "keys, sorted, in one answer",
        keys,
        super::range::keys(&scene, &["a", "b", "c"]),
    )?;
    expect::same(
        "left",
        client.range(ask::list(&scene.prefix())).await?.count,
        0,
    )
}

async fn revoking_without_keys_uses_no_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 100).await?;
    let before = expect::revision(client.range(ask::get("k")).await?.header.as_ref())?;
    let answer = client.lease_revoke(LeaseRevokeRequest { id }).await?;
    expect::same(
        "revision",
        expect::revision(answer.header.as_ref())?,
        before,
    )
}

async fn revoking_an_unknown_lease_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let answer = client
        .lease_revoke(LeaseRevokeRequest { id: 0x1234_5604 })
        .await;
    expect::refused(answer, Code::NotFound, NOT_FOUND)?;
    let answer = client.lease_revoke(LeaseRevokeRequest { id: 0 }).await;
    expect::refused(answer, Code::NotFound, NOT_FOUND)
}

async fn leases_are_listed(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (first, second) = (grant(&client, 100).await?, grant(&client, 100).await?);
    client
        .lease_revoke(LeaseRevokeRequest { id: second })
        .await?;
    let listed: Vec<i64> = client
        .lease_leases(LeaseLeasesRequest {})
        .await?
        .leases
        .iter()
        .map(|lease| lease.id)
        .collect();
    expect::same(
        "listed",
        (listed.contains(&first), listed.contains(&second)),
        (true, false),
    )
}

async fn a_key_moves_with_its_newest_lease(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (first, second) = (grant(&client, 100).await?, grant(&client, 100).await?);
    attach(&client, &scene, "k", first).await?;
    attach(&client, &scene, "k", second).await?;
    client
        .lease_revoke(LeaseRevokeRequest { id: first })
        .await?;
    expect::same(
        "after the first",
        client.range(ask::get(scene.key("k"))).await?.count,
        1,
    )?;
    client
        .lease_revoke(LeaseRevokeRequest { id: second })
        .await?;
    expect::same(
        "after the second",
        client.range(ask::get(scene.key("k"))).await?.count,
        0,
    )
}

async fn an_id_below_zero(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = -0x1234_5605;
    expect::same(
        "id",
        client
            .lease_grant(LeaseGrantRequest { ttl: 100, id })
            .await?
            .id,
        id,
    )?;
    attach(&client, &scene, "k", id).await?;
    expect::same(
        "lease",
        client.range(ask::get(scene.key("k"))).await?.kvs[0].lease,
        id,
    )?;
    client
        .lease_revoke(LeaseRevokeRequest { id })
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn an_expired_lease_takes_its_keys_in_one_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let id = grant(&client, 1).await?;
    for name in ["b", "a"] {
        attach(&client, &scene, name, id).await?;
    }
    let (mut watching, _) = Watching::start(&client, watching::of_prefix(&scene.prefix())).await?;
    let answer = watching.stream.next_within(Duration::from_secs(20)).await?;
    let found: Vec<_> = answer
        .events
        .iter()
        .map(|event| (event.r#type(), event.kv.clone()))
        .collect();
    expect::same("events", found.len(), 2)?;
    let revisions: Vec<i64> = found
        .iter()
        .filter_map(|(_, kv)| Some(kv.as_ref()?.mod_revision))
        .collect();
    expect::same("one revision", revisions[0], revisions[1])?;
    let keys: Vec<_> = found
        .iter()
        .filter_map(|(_, kv)| Some(kv.as_ref()?.key.clone()))
        .collect();
    expect::same(
        "keys, sorted",
        keys,
        super::range::keys(&scene, &["a", "b"]),
    )?;
    expect::same(
        "deleted",
        found.iter().all(|(kind, _)| *kind == EventType::Delete),
        true,
    )?;
    let gone = client
        .lease_time_to_live(LeaseTimeToLiveRequest { id, keys: false })
        .await?;
    expect::same("time to live", gone.ttl, -1)?;
    let late = PutRequest {
        lease: id,
        ..ask::put(scene.key("late"), "")
    };
    expect::refused(client.put(late).await, Code::NotFound, NOT_FOUND)?;
    // Whoever reads after the event sees its effect.
    wait::within(
        wait::SOON,
        "a read",
        client.range(ask::list(&scene.prefix())),
    )
    .await??;
    Ok(())
}
