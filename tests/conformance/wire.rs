//! The wire below the calls: broken messages, unknown fields, unknown methods and services.

use anyhow::Result;
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::RangeResponse;
use meridian_tests::{ask, cases, expect, suite::Scene};
use prost::Message;
use tonic::Code;

cases!("wire";
    Alone: a_broken_message_is_refused, a_broken_message_on_a_stream_ends_it, unknown_fields_are_skipped,
        an_unknown_method_is_unimplemented, an_unknown_service_is_unimplemented, an_empty_message_is_all_defaults,
        unreadable_metadata_is_carried, the_client_version_is_taken, health_is_served;
);

const RANGE: &str = "/etcdserverpb.KV/Range";

async fn a_broken_message_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    // A length without its bytes; a group end; a field of number 0.
    for broken in [&b"\x0a\xff"[..], b"\x0c", b"\x02\x00"] {
        for path in [
            RANGE,
            "/etcdserverpb.KV/Put",
            "/etcdserverpb.KV/Txn",
            "/etcdserverpb.Lease/LeaseGrant",
        ] {
            let answer = client
                .unary_bytes(path, Bytes::copy_from_slice(broken))
                .await;
            expect::refused_with(answer, Code::Internal, |_| true)?;
        }
    }
    client
        .range(ask::get(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn a_broken_message_on_a_stream_ends_it(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for path in [
        "/etcdserverpb.Watch/Watch",
        "/etcdserverpb.Lease/LeaseKeepAlive",
    ] {
        let mut stream = client.converse_bytes(path);
        stream.send(Bytes::from_static(b"\x0a\xff"));
        let (code, _) = stream.ends(meridian_tests::wait::SOON).await?;
        expect::same(path, code, Code::Internal)?;
    }
    client
        .range(ask::get(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn unknown_fields_are_skipped(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "v")).await?;
    let mut message = ask::get(scene.key("k")).encode_to_vec();
    // Field 999, a varint, and field 1000, three bytes.
    message.extend(b"\xb8\x3e\x05\xc2\x3e\x03abc");
    let answer = client.unary_bytes(RANGE, message.into()).await?;
    expect::same("count", RangeResponse::decode(answer)?.count, 1)
}

async fn an_unknown_method_is_unimplemented(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .unary_bytes("/etcdserverpb.KV/Nothing", Bytes::new())
        .await;
    expect::refused(
        answer,
        Code::Unimplemented,
        "unknown method Nothing for service etcdserverpb.KV",
    )
}

async fn an_unknown_service_is_unimplemented(scene: Scene) -> Result<()> {
    let answer = scene
        .client()?
        .unary_bytes("/nobody.Nothing/Call", Bytes::new())
        .await;
    expect::refused(
        answer,
        Code::Unimplemented,
        "unknown service nobody.Nothing",
    )
}

async fn an_empty_message_is_all_defaults(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let answer = client.unary_bytes(RANGE, Bytes::new()).await;
    expect::refused(
        answer,
        Code::InvalidArgument,
        "etcdserver: key is not provided",
    )?;
    client
        .unary_bytes("/etcdserverpb.KV/Txn", Bytes::new())
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn unreadable_metadata_is_carried(scene: Scene) -> Result<()> {
    let client = scene
        .client()?
        .with("x-nobody-knows", "some text; \"quoted\"")?;
    client
        .range(ask::get(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn the_client_version_is_taken(scene: Scene) -> Result<()> {
    let client = scene.client()?.with("client-api-version", "3.5.0")?;
    client.put(ask::put(scene.key("k"), "")).await?;
    client
        .range(ask::get(scene.key("k")))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn health_is_served(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    // Status SERVING is 1 in field 1.
    let answer = client
        .unary_bytes("/grpc.health.v1.Health/Check", Bytes::new())
        .await?;
    expect::same("answer", answer, Bytes::from_static(b"\x08\x01"))?;
    // Field 1, the name of a service that is not registered.
    let answer = client
        .unary_bytes(
            "/grpc.health.v1.Health/Check",
            Bytes::from_static(b"\x0a\x01x"),
        )
        .await;
    expect::refused(answer, Code::NotFound, "unknown service")
}
