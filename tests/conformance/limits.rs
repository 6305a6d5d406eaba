//! Requests that are too large: refused as etcd refuses them, by size of message and of request.

use anyhow::Result;
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_tests::{ask, cases, expect, suite::Scene};
use tonic::Code;

cases!("limits";
    Alone: a_value_near_the_limit_is_stored, a_request_above_the_limit_is_refused,
        a_txn_above_the_limit_is_refused, a_message_above_the_transport_limit_is_refused,
        a_large_read_request_is_allowed, a_refusal_leaves_the_connection_whole;
);

/// etcd's `--max-request-bytes`.
const REQUEST_BYTES_MAX: usize = 1_572_864;

const TOO_LARGE: &str = "etcdserver: request is too large";

async fn a_value_near_the_limit_is_stored(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let value = vec![b'v'; REQUEST_BYTES_MAX - 1_000];
    client.put(ask::put(scene.key("k"), value.clone())).await?;
    for serializable in [false, true] {
        let answer = client
            .range(RangeRequest {
                serializable,
                ..ask::get(scene.key("k"))
            })
            .await?;
        expect::same("bytes", answer.kvs[0].value.len(), value.len())?;
    }
    client
        .delete(ask::delete(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_request_above_the_limit_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for bytes in [REQUEST_BYTES_MAX + 1, 1_600_000, 2_000_000] {
        let answer = client
            .put(ask::put(scene.key("k"), vec![b'v'; bytes]))
            .await;
        expect::refused(answer, Code::InvalidArgument, TOO_LARGE)?;
    }
    expect::same(
        "stored",
        client.range(ask::get(scene.key("k"))).await?.count,
        0,
    )
}

async fn a_txn_above_the_limit_is_refused(scene: Scene) -> Result<()> {
    let puts = (0..2)
        .map(|n| ask::op_put(scene.key(&n.to_string()), vec![b'v'; 800_000]))
        .collect();
    let answer = scene.client()?.txn(ask::all_of(puts)).await;
    expect::refused(answer, Code::InvalidArgument, TOO_LARGE)
}

async fn a_message_above_the_transport_limit_is_refused(scene: Scene) -> Result<()> {
    // 512 KiB more than a request may have: the message is not even looked at.
    let request = ask::put(scene.key("k"), vec![b'v'; 3 << 20]);
    let size = prost::Message::encoded_len(&request);
    let text = format!("grpc: received message larger than max ({size} vs. 2097152)");
    expect::refused(
        scene.client()?.put(request).await,
        Code::ResourceExhausted,
        &text,
    )
}

async fn a_large_read_request_is_allowed(scene: Scene) -> Result<()> {
    // Reads do not go through raft: only the transport's limit holds.
    let key = vec![b'k'; 1_900_000];
    expect::same(
        "count",
        scene.client()?.range(ask::get(key)).await?.count,
        0,
    )
}

async fn a_refusal_leaves_the_connection_whole(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for _ in 0..3 {
        let answer = client
            .put(ask::put(scene.key("k"), vec![b'v'; 3 << 20]))
            .await;
        expect::refused_with(answer, Code::ResourceExhausted, |_| true)?;
        client.put(ask::put(scene.key("small"), "v")).await?;
    }
    Ok(())
}
