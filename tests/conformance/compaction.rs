//! KV.Compact: what stays readable, what does not, and what a second one is told.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::{CompactionRequest, RangeRequest};
use meridian_tests::{ask, cases, client::Client, expect, suite::Scene};
use tonic::Code;

cases!("compaction";
    Alone: below_it_is_refused_and_at_it_is_not, a_second_one_at_or_below_is_refused, a_future_one_is_refused,
        it_uses_no_revision, the_newest_state_stays, physical_waits_and_answers_alike,
        a_key_deleted_before_is_gone, at_the_current_revision_all_history_goes,
);

const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

fn compaction(revision: i64) -> CompactionRequest {
    CompactionRequest {
        revision,
        physical: false,
    }
}

/// Writes `k` five times and gives the five revisions.
async fn five(scene: &Scene) -> Result<(Client, Vec<i64>)> {
    let client = scene.client()?;
    let mut revisions = Vec::new();
    for n in 0..5 {
        let answer = client.put(ask::put(scene.key("k"), n.to_string())).await?;
        revisions.push(expect::revision(answer.header.as_ref())?);
    }
    Ok((client, revisions))
}

async fn below_it_is_refused_and_at_it_is_not(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    client.compact(compaction(at[2])).await?;
    for serializable in [false, true] {
        for count_only in [false, true] {
            let request = |revision| RangeRequest {
                revision,
                serializable,
                count_only,
                ..ask::get(scene.key("k"))
            };
            expect::refused(
                client.range(request(at[1])).await,
                Code::OutOfRange,
                COMPACTED,
            )?;
            expect::refused(client.range(request(1)).await, Code::OutOfRange, COMPACTED)?;
            expect::same("at it", client.range(request(at[2])).await?.count, 1)?;
        }
    }
    let old = client
        .range(RangeRequest {
            revision: at[2],
            ..ask::get(scene.key("k"))
        })
        .await?;
    expect::same("value at it", &old.kvs[0].value[..], &b"2"[..])
}

async fn a_second_one_at_or_below_is_refused(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    client.compact(compaction(at[2])).await?;
    for revision in [at[2], at[1], 1, 0, -1] {
        expect::refused(
            client.compact(compaction(revision)).await,
            Code::OutOfRange,
            COMPACTED,
        )?;
    }
    client
        .compact(compaction(at[3]))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_future_one_is_refused(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    let text = "etcdserver: mvcc: required revision is a future revision";
    expect::refused(
        client.compact(compaction(at[4] + 1)).await,
        Code::OutOfRange,
        text,
    )?;
    let old = client
        .range(RangeRequest {
            revision: at[3],
            ..ask::get(scene.key("k"))
        })
        .await?;
    expect::same("nothing compacted", old.count, 1)
}

async fn it_uses_no_revision(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    let answer = client.compact(compaction(at[1])).await?;
    expect::same(
        "revision in the answer",
        expect::revision(answer.header.as_ref())?,
        at[4],
    )?;
    let after = client.range(ask::get(scene.key("k"))).await?;
    expect::same(
        "revision after",
        expect::revision(after.header.as_ref())?,
        at[4],
    )
}

async fn the_newest_state_stays(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    let before = client.range(ask::list(&scene.prefix())).await?.kvs;
    client.compact(compaction(at[4])).await?;
    expect::same(
        "keys",
        client.range(ask::list(&scene.prefix())).await?.kvs,
        before,
    )
}

async fn physical_waits_and_answers_alike(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    client
        .compact(CompactionRequest {
            revision: at[2],
            physical: true,
        })
        .await?;
    let request = RangeRequest {
        revision: at[1],
        ..ask::get(scene.key("k"))
    };
    expect::refused(client.range(request).await, Code::OutOfRange, COMPACTED)
}

async fn a_key_deleted_before_is_gone(scene: Scene) -> Result<()> {
    let (client, _) = five(&scene).await?;
    let gone = expect::revision(
        client
            .delete(ask::delete(scene.key("k")))
            .await?
            .header
            .as_ref(),
    )?;
    client.compact(compaction(gone)).await?;
    for revision in [gone, 0] {
        let answer = client
            .range(RangeRequest {
                revision,
                ..ask::get(scene.key("k"))
            })
            .await?;
        expect::same("keys", answer.count, 0)?;
    }
    Ok(())
}

async fn at_the_current_revision_all_history_goes(scene: Scene) -> Result<()> {
    let (client, at) = five(&scene).await?;
    client.compact(compaction(at[4])).await?;
    let request = RangeRequest {
        revision: at[3],
        ..ask::get(scene.key("k"))
    };
    expect::refused(client.range(request).await, Code::OutOfRange, COMPACTED)?;
    let next = expect::revision(
        client
            .put(ask::put(scene.key("k"), "next"))
            .await?
            .header
            .as_ref(),
    )?;
    let old = client
        .range(RangeRequest {
            revision: next - 1,
            ..ask::get(scene.key("k"))
        })
        .await?;
    expect::same("value at it", &old.kvs[0].value[..], &b"4"[..])
}
