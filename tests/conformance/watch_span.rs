//! Watch: which keys and which kinds of events a watch is about.

use anyhow::{Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::{WatchCreateRequest, watch_create_request::FilterType},
    mvccpb::event::EventType,
};
use meridian_tests::{
    ask, cases, client::Client, expect, suite::Scene, watching, watching::Watching,
};

use super::watch_events::kv;

cases!("watch_span";
    Alone: a_key_is_not_its_prefix, a_prefix_is_all_below, an_end_of_zero_byte_is_to_the_last_key,
        an_empty_key_to_zero_byte_is_everything, puts_can_be_filtered_out, deletions_can_be_filtered_out,
        all_can_be_filtered_out;
);

/// Writes `writes`, then `last`; gives the keys of all events up to that of `last`.
async fn seen(
    client: &Client,
    watching: &mut Watching,
    writes: &[Bytes],
    last: &Bytes,
) -> Result<Vec<Bytes>> {
    for key in writes {
        client.put(ask::put(key.clone(), "")).await?;
    }
    client.put(ask::put(last.clone(), "")).await?;
    let mut keys = Vec::new();
    while keys.last() != Some(last) {
        for event in watching.batch().await?.events {
            keys.push(kv(&event)?.key.clone());
        }
    }
    Ok(keys)
}

async fn a_key_is_not_its_prefix(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let others = super::range::keys(&scene, &["", "j", "k\0", "ka", "l"]);
    expect::same(
        "seen",
        seen(&client, &mut watching, &others, &scene.key("k")).await?,
        vec![scene.key("k")],
    )
}

async fn a_prefix_is_all_below(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_prefix(&scene.key("k"))).await?;
    let writes = super::range::keys(&scene, &["j", "k", "k\u{7f}", "l", "kz"]);
    let found = seen(&client, &mut watching, &writes, &scene.key("k last")).await?;
    expect::same(
        "seen",
        found,
        super::range::keys(&scene, &["k", "k\u{7f}", "kz", "k last"]),
    )
}

async fn an_end_of_zero_byte_is_to_the_last_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = WatchCreateRequest {
        range_end: Bytes::from_static(b"\0"),
        ..watching::of_key(scene.key("k"))
    };
    let (mut watching, _) = Watching::start(&client, request).await?;
    let writes = [
        scene.key("j"),
        scene.key("k"),
        Bytes::from_static(b"~beyond"),
    ];
    let found = seen(&client, &mut watching, &writes, &scene.key("l")).await?;
    expect::same(
        "seen",
        found,
        vec![
            scene.key("k"),
            Bytes::from_static(b"~beyond"),
            scene.key("l"),
        ],
    )
}

async fn an_empty_key_to_zero_byte_is_everything(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    for key in [Bytes::new(), Bytes::from_static(b"\0")] {
        let request = WatchCreateRequest {
            range_end: Bytes::from_static(b"\0"),
            ..watching::of_key(key)
        };
        let (mut watching, _) = Watching::start(&client, request).await?;
        let writes = [
            Bytes::from_static(b"\0first"),
            Bytes::from_static(b"\xff\xff"),
        ];
        let found = seen(&client, &mut watching, &writes, &scene.key("k")).await?;
        expect::same("seen", found, [&writes[..], &[scene.key("k")]].concat())?;
    }
    client.delete(ask::delete("\0first")).await?;
    client
        .delete(ask::delete(Bytes::from_static(b"\xff\xff")))
        .await
        .map(drop)
        .map_err(Into::into)
}

/// Puts and deletes `k`, then changes `k2` in both ways; gives what a filtered watch of both saw of it.
async fn filtered(scene: &Scene, filters: &[FilterType]) -> Result<Vec<(EventType, Bytes)>> {
    let client = scene.client()?;
    let filters = filters.iter().map(|filter| i32::from(*filter)).collect();
    let mut watching = Watching::open(&client);
    watching
        .created(WatchCreateRequest {
            filters,
            ..watching::of_prefix(&scene.key("k"))
        })
        .await?;
    // A second watch on the same stream tells when the first has had its chance.
    let marker = watching
        .created(watching::of_key(scene.key("marker")))
        .await?
        .watch_id;
    client.put(ask::put(scene.key("k"), "")).await?;
    client.delete(ask::delete(scene.key("k"))).await?;
    client
        .txn(ask::all_of(vec![ask::op_put(scene.key("k2"), "")]))
        .await?;
    client.delete(ask::delete(scene.key("k2"))).await?;
    client.put(ask::put(scene.key("marker"), "")).await?;
    let mut found = Vec::new();
    loop {
        let answer = watching.next().await?;
        ensure!(
            !answer.events.is_empty(),
            "an answer without events: {answer:?}"
        );
        if answer.watch_id == marker {
            return Ok(found);
        }
        for event in answer.events {
            found.push((event.r#type(), kv(&event)?.key.clone()));
        }
    }
}

async fn puts_can_be_filtered_out(scene: Scene) -> Result<()> {
    let expected = vec![
        (EventType::Delete, scene.key("k")),
        (EventType::Delete, scene.key("k2")),
    ];
    expect::same(
        "events",
        filtered(&scene, &[FilterType::Noput]).await?,
        expected,
    )
}

async fn deletions_can_be_filtered_out(scene: Scene) -> Result<()> {
    let expected = vec![
        (EventType::Put, scene.key("k")),
        (EventType::Put, scene.key("k2")),
    ];
    expect::same(
        "events",
        filtered(&scene, &[FilterType::Nodelete]).await?,
        expected,
    )
}

async fn all_can_be_filtered_out(scene: Scene) -> Result<()> {
    expect::same(
        "events",
        filtered(&scene, &[FilterType::Noput, FilterType::Nodelete]).await?,
        vec![],
    )
}
