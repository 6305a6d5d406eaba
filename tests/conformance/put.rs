//! KV.Put: what is stored, what comes back, what is refused.

use anyhow::{Context, Result};
use meridian_etcd_api::etcdserverpb::PutRequest;
use meridian_tests::{ask, cases, expect, suite::Scene};
use tonic::Code;

cases!("put";
    Alone: every_put_is_one_revision, prev_kv_is_what_was_there, prev_kv_of_a_new_key_is_absent,
        an_empty_value_is_a_value, ignore_value_keeps_the_value, ignore_lease_keeps_the_lease,
        a_put_without_lease_detaches, an_empty_key_is_refused, a_value_beside_ignore_value_is_refused,
        a_lease_beside_ignore_lease_is_refused, ignoring_on_a_missing_key_is_refused,
        an_unknown_lease_is_refused, a_put_looks_at_the_lease_first_and_a_txn_at_the_key, a_refused_put_uses_no_revision,
);

async fn every_put_is_one_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let first = expect::revision(
        client
            .put(ask::put(scene.key("k"), "same"))
            .await?
            .header
            .as_ref(),
    )?;
    // The same value again is a change, too.
    let second = expect::revision(
        client
            .put(ask::put(scene.key("k"), "same"))
            .await?
            .header
            .as_ref(),
    )?;
    expect::same("revision", second, first + 1)
}

async fn prev_kv_is_what_was_there(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    let before = client.range(ask::get(scene.key("k"))).await?.kvs.remove(0);
    let answer = client
        .put(PutRequest {
            prev_kv: true,
            ..ask::put(scene.key("k"), "2")
        })
        .await?;
    expect::same("prev_kv", answer.prev_kv, Some(before))?;
    let answer = client.put(ask::put(scene.key("k"), "3")).await?;
    expect::same("prev_kv unasked", answer.prev_kv, None)
}

async fn prev_kv_of_a_new_key_is_absent(scene: Scene) -> Result<()> {
    let request = PutRequest {
        prev_kv: true,
        ..ask::put(scene.key("k"), "1")
    };
    expect::same("prev_kv", scene.client()?.put(request).await?.prev_kv, None)
}

async fn an_empty_value_is_a_value(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "")).await?;
    let answer = client.range(ask::get(scene.key("k"))).await?;
    expect::same("value", (answer.count, answer.kvs[0].value.len()), (1, 0))
}

async fn ignore_value_keeps_the_value(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = client.lease_grant(ask::lease(100)).await?.id;
    client.put(ask::put(scene.key("k"), "kept")).await?;
    client
        .put(PutRequest {
            ignore_value: true,
            lease,
            ..ask::put(scene.key("k"), "")
        })
        .await?;
    let kv = client.range(ask::get(scene.key("k"))).await?.kvs.remove(0);
    expect::same(
        "key-value",
        (&kv.value[..], kv.lease, kv.version),
        (&b"kept"[..], lease, 2),
    )
}

async fn ignore_lease_keeps_the_lease(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = client.lease_grant(ask::lease(100)).await?.id;
    client
        .put(PutRequest {
            lease,
            ..ask::put(scene.key("k"), "1")
        })
        .await?;
    client
        .put(PutRequest {
            ignore_lease: true,
            ..ask::put(scene.key("k"), "2")
        })
        .await?;
    let kv = client.range(ask::get(scene.key("k"))).await?.kvs.remove(0);
    expect::same(
        "key-value",
        (&kv.value[..], kv.lease, kv.version),
        (&b"2"[..], lease, 2),
    )
}

async fn a_put_without_lease_detaches(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = client.lease_grant(ask::lease(100)).await?.id;
    client
        .put(PutRequest {
            lease,
            ..ask::put(scene.key("k"), "1")
        })
        .await?;
    client.put(ask::put(scene.key("k"), "2")).await?;
    expect::same(
        "lease",
        client.range(ask::get(scene.key("k"))).await?.kvs[0].lease,
        0,
    )?;
    client
        .lease_revoke(meridian_etcd_api::etcdserverpb::LeaseRevokeRequest { id: lease })
        .await?;
    expect::same(
        "keys",
        client.range(ask::get(scene.key("k"))).await?.count,
        1,
    )
}

async fn an_empty_key_is_refused(scene: Scene) -> Result<()> {
    let answer = scene.client()?.put(ask::put("", "v")).await;
    expect::refused(
        answer,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    )
}

async fn a_value_beside_ignore_value_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    let request = PutRequest {
        ignore_value: true,
        ..ask::put(scene.key("k"), "2")
    };
    expect::refused(
        client.put(request).await,
        Code::InvalidArgument,
        "etcdserver: value is provided",
    )
}

async fn a_lease_beside_ignore_lease_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    let request = PutRequest {
        ignore_lease: true,
        lease: 7,
        ..ask::put(scene.key("k"), "2")
    };
    expect::refused(
        client.put(request).await,
        Code::InvalidArgument,
        "etcdserver: lease is provided",
    )
}

async fn ignoring_on_a_missing_key_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let text = "etcdserver: key not found";
    let request = PutRequest {
        ignore_value: true,
        ..ask::put(scene.key("missing"), "")
    };
    expect::refused(client.put(request).await, Code::InvalidArgument, text)?;
    let request = PutRequest {
        ignore_lease: true,
        ..ask::put(scene.key("missing"), "v")
    };
    expect::refused(client.put(request).await, Code::InvalidArgument, text)
}

async fn an_unknown_lease_is_refused(scene: Scene) -> Result<()> {
    let request = PutRequest {
        lease: 0x7777_0001,
        ..ask::put(scene.key("k"), "v")
    };
    let answer = scene.client()?.put(request).await;
    expect::refused(
        answer,
        Code::NotFound,
        "etcdserver: requested lease not found",
    )
}

async fn a_put_looks_at_the_lease_first_and_a_txn_at_the_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let put = PutRequest {
        lease: 0x7777_0003,
        ignore_value: true,
        ..ask::put(scene.key("missing"), "")
    };
    let (no_key, no_lease) = (
        "etcdserver: key not found",
        "etcdserver: requested lease not found",
    );
    expect::refused(client.put(put.clone()).await, Code::NotFound, no_lease).context("a put")?;
    let txn = ask::all_of(vec![ask::op_put_as(put)]);
    expect::refused(client.txn(txn).await, Code::InvalidArgument, no_key).context("a txn")
}

async fn a_refused_put_uses_no_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = expect::revision(
        client
            .range(ask::get(scene.key("k")))
            .await?
            .header
            .as_ref(),
    )?;
    let request = PutRequest {
        lease: 0x7777_0001,
        ..ask::put(scene.key("k"), "v")
    };
    client.put(request).await.err().context("it is refused")?;
    let answer = client.range(ask::get(scene.key("k"))).await?;
    expect::same("keys", answer.count, 0)?;
    expect::same(
        "revision",
        expect::revision(answer.header.as_ref())?,
        before,
    )
}
