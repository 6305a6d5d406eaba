//! KV.DeleteRange: how much goes, what comes back, and that nothing deleted is no revision.

use anyhow::Result;
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::DeleteRangeRequest;
use meridian_tests::{ask, cases, expect, suite::Scene};
use tonic::Code;

use super::range::three;

cases!("delete";
    Alone: one_key_goes, a_missing_key_uses_no_revision, a_range_goes_in_one_revision, prev_kvs_are_what_was_there,
        an_interval_is_half_open, an_end_below_the_key_deletes_nothing, an_end_of_zero_byte_deletes_to_the_last_key,
        an_empty_key_is_refused,
);

async fn one_key_goes(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let before = expect::revision(
        client
            .range(ask::get(scene.key("a")))
            .await?
            .header
            .as_ref(),
    )?;
    let answer = client.delete(ask::delete(scene.key("a"))).await?;
    expect::same("deleted", (answer.deleted, answer.prev_kvs.len()), (1, 0))?;
    expect::same(
        "revision",
        expect::revision(answer.header.as_ref())?,
        before + 1,
    )?;
    expect::same(
        "left",
        client.range(ask::list(&scene.prefix())).await?.count,
        2,
    )
}

async fn a_missing_key_uses_no_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let before = expect::revision(
        client
            .range(ask::get(scene.key("a")))
            .await?
            .header
            .as_ref(),
    )?;
    let answer = client.delete(ask::delete(scene.key("missing"))).await?;
    expect::same("deleted", answer.deleted, 0)?;
    expect::same(
        "revision",
        expect::revision(answer.header.as_ref())?,
        before,
    )
}

async fn a_range_goes_in_one_revision(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let before = expect::revision(
        client
            .range(ask::get(scene.key("a")))
            .await?
            .header
            .as_ref(),
    )?;
    let answer = client.delete(ask::delete_all(&scene.prefix())).await?;
    expect::same("deleted", answer.deleted, 3)?;
    expect::same(
        "revision",
        expect::revision(answer.header.as_ref())?,
        before + 1,
    )?;
    expect::same(
        "left",
        client.range(ask::list(&scene.prefix())).await?.count,
        0,
    )
}

async fn prev_kvs_are_what_was_there(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let before = client.range(ask::list(&scene.prefix())).await?.kvs;
    let request = DeleteRangeRequest {
        prev_kv: true,
        ..ask::delete_all(&scene.prefix())
    };
    expect::same("prev_kvs", client.delete(request).await?.prev_kvs, before)
}

async fn an_interval_is_half_open(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let request = DeleteRangeRequest {
        range_end: scene.key("c"),
        ..ask::delete(scene.key("a"))
    };
    expect::same("deleted", client.delete(request).await?.deleted, 2)?;
    expect::same(
        "left",
        client.range(ask::get(scene.key("c"))).await?.count,
        1,
    )
}

async fn an_end_below_the_key_deletes_nothing(scene: Scene) -> Result<()> {
    let client = three(&scene).await?;
    let request = DeleteRangeRequest {
        range_end: scene.key("a"),
        ..ask::delete(scene.key("c"))
    };
    expect::same("deleted", client.delete(request).await?.deleted, 0)?;
    expect::same(
        "left",
        client.range(ask::list(&scene.prefix())).await?.count,
        3,
    )
}

async fn an_end_of_zero_byte_deletes_to_the_last_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    // Behind every other key, so that nobody else's are taken along.
    for key in ["\u{7f}z1", "\u{7f}z2", "\u{7f}z3"] {
        client.put(ask::put(key, "")).await?;
    }
    let request = DeleteRangeRequest {
        range_end: Bytes::from_static(b"\0"),
        ..ask::delete("\u{7f}z2")
    };
    expect::same("deleted", client.delete(request).await?.deleted, 2)?;
    expect::same(
        "left",
        client.range(ask::list(&"\u{7f}z".into())).await?.count,
        1,
    )
}

async fn an_empty_key_is_refused(scene: Scene) -> Result<()> {
    let answer = scene.client()?.delete(ask::delete("")).await;
    expect::refused(
        answer,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    )
}
