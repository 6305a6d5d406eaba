//! The rows of the table in which `etcd grpc-proxy` differs from etcd; we answer as etcd.
//!
//! | row | where |
//! |---|---|
//! | lost status codes | `range_refused`, `txn_refused`, `put`, `compaction` |
//! | a Txn that kills the process | `txn_refused::an_empty_operation` |
//! | 1.6 MB put | `limits::a_request_above_the_limit_is_refused` |
//! | watch ids, duplicates, cancelling by id | `watch_create`, and here |
//! | progress requests | `watch_progress` |
//! | empty range watch | `watch_create::an_empty_range_is_refused` |
//! | keepalive of unknown leases, pace, half-close | `keepalive` |
//! | serializable reads stale for ever, also after a compaction | here |
//! | from-key reads stale after an own put | here |
//! | secrets served without a token | `auth` |
//! | `hasleader` | `leader` |
//! | member list, zero cluster ids | `cluster`, `headers` |

use anyhow::{Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{CompactionRequest, RangeRequest, WatchCreateRequest};
use meridian_tests::{
    ask, cases, client::Client, expect, suite::Scene, wait, watching, watching::Watching,
};

cases!("proxy_table";
    Alone: a_serializable_read_sees_a_write_made_elsewhere, it_does_so_after_a_compaction_too,
        a_from_key_read_sees_an_own_put, a_watch_is_cancelled_by_its_chosen_id, a_missing_answer_is_not_kept;
);

fn local(request: RangeRequest) -> RangeRequest {
    RangeRequest {
        serializable: true,
        ..request
    }
}

/// Reads locally until the value is `want`, and checks that the header has come along.
async fn comes_to(client: &Client, request: &RangeRequest, want: &str, at: i64) -> Result<()> {
    wait::eventually(wait::SOON, "the local read shows the write", || async {
        let answer = client.range(local(request.clone())).await?;
        let value = answer
            .kvs
            .last()
            .map(|kv| kv.value.clone())
            .unwrap_or_default();
        ensure!(value == want.as_bytes(), "still {value:?}");
        ensure!(
            expect::revision(answer.header.as_ref())? >= at,
            "the header lags behind the value"
        );
        Ok(())
    })
    .await
}

async fn write_at_home(scene: &Scene, key: &Bytes, value: &'static str) -> Result<i64> {
    let home = scene.target()?.connect_home().await?;
    expect::revision(
        home.put(ask::put(key.clone(), value))
            .await?
            .header
            .as_ref(),
    )
}

async fn a_serializable_read_sees_a_write_made_elsewhere(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("k"));
    client.put(ask::put(key.clone(), "old")).await?;
    // Read it often enough for any cache to take it.
    for _ in 0..3 {
        client.range(local(ask::get(key.clone()))).await?;
    }
    let at = write_at_home(&scene, &key, "new").await?;
    comes_to(&client, &ask::get(key), "new", at).await
}

async fn it_does_so_after_a_compaction_too(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("k"));
    let at = expect::revision(
        client
            .put(ask::put(key.clone(), "old"))
            .await?
            .header
            .as_ref(),
    )?;
    client.range(local(ask::get(key.clone()))).await?;
    client
        .compact(CompactionRequest {
            revision: at,
            physical: false,
        })
        .await?;
    client.range(local(ask::get(key.clone()))).await?;
    let at = write_at_home(&scene, &key, "new").await?;
    comes_to(&client, &ask::get(key), "new", at).await
}

async fn a_from_key_read_sees_an_own_put(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let from = RangeRequest {
        range_end: Bytes::from_static(b"\0"),
        ..ask::get("\u{7f}from")
    };
    client.put(ask::put("\u{7f}from 1", "old")).await?;
    client.range(local(from.clone())).await?;
    let at = expect::revision(
        client
            .put(ask::put("\u{7f}from 2", "new"))
            .await?
            .header
            .as_ref(),
    )?;
    // The connection has been told `at`: it may not be shown anything older.
    let answer = client.range(local(from)).await?;
    ensure!(
        expect::revision(answer.header.as_ref())? >= at,
        "the connection went back"
    );
    expect::same(
        "newest",
        answer.kvs.iter().any(|kv| kv.key == "\u{7f}from 2"),
        true,
    )?;
    client
        .delete(ask::delete_all(&"\u{7f}from".into()))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_watch_is_cancelled_by_its_chosen_id(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = WatchCreateRequest {
        watch_id: 42,
        ..watching::of_key(scene.key("k"))
    };
    let (mut watching, _) = Watching::start(&client, request).await?;
    watching.cancel(42);
    let answer = watching.next().await?;
    expect::same("answer", (answer.canceled, answer.watch_id), (true, 42))
}

async fn a_missing_answer_is_not_kept(scene: Scene) -> Result<()> {
    let (client, key) = (scene.client()?, scene.key("k"));
    for _ in 0..3 {
        expect::same(
            "count",
            client.range(local(ask::get(key.clone()))).await?.count,
            0,
        )?;
    }
    let at = write_at_home(&scene, &key, "new").await?;
    comes_to(&client, &ask::get(key), "new", at).await
}
