//! Watch: creating and cancelling, ids, and what is refused on a stream that goes on.

use anyhow::{Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use meridian_tests::{ask, cases, expect, suite::Scene, watching, watching::Watching};

cases!("watch_create";
    Alone: created_comes_first_with_the_current_revision, ids_count_up_from_zero, a_chosen_id_is_kept,
        own_ids_step_over_chosen_ones, a_duplicate_id_is_refused, an_empty_range_is_refused,
        cancelling_is_acknowledged, nothing_comes_after_the_acknowledgement, cancelling_an_unknown_id_is_silent,
        cancelling_a_refused_watch_is_silent, a_cancelled_id_may_be_used_again, a_negative_start_is_refused,
        a_message_without_a_request_is_ignored, an_unknown_filter_is_ignored, a_half_closed_stream_goes_on,
        streams_have_ids_of_their_own, a_refusal_leaves_the_others_alone;
);

/// What etcd says of a watch that it never made.
fn is_refused(answer: &WatchResponse, reason: &str) -> Result<()> {
    let shape = (
        answer.created,
        answer.canceled,
        answer.watch_id,
        answer.events.len(),
    );
    expect::same("shape", shape, (true, true, -1, 0))?;
    expect::same("reason", answer.cancel_reason.as_str(), reason)?;
    ensure!(
        expect::header(answer.header.as_ref())?.cluster_id != 0,
        "no cluster id: {answer:?}"
    );
    Ok(())
}

const DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";
const EMPTY: &str = "mvcc: watcher range is empty";

async fn created_comes_first_with_the_current_revision(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("k"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    // With events at hand as well: they wait for it.
    for start_revision in [0, now] {
        let request = WatchCreateRequest {
            start_revision,
            ..watching::of_key(scene.key("k"))
        };
        let (_watching, created) = Watching::start(&client, request).await?;
        expect::same("revision", expect::revision(created.header.as_ref())?, now)?;
        let rest = (
            created.watch_id,
            created.compact_revision,
            created.events.len(),
            created.fragment,
        );
        expect::same("the rest", rest, (0, 0, 0, false))?;
    }
    Ok(())
}

async fn ids_count_up_from_zero(scene: Scene) -> Result<()> {
    let mut watching = Watching::open(&scene.client()?);
    for expected in 0..5 {
        let created = watching.created(watching::of_key(scene.key("k"))).await?;
        expect::same("id", created.watch_id, expected)?;
    }
    Ok(())
}

async fn a_chosen_id_is_kept(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut watching = Watching::open(&client);
    for watch_id in [42, -5, i64::MAX] {
        let request = WatchCreateRequest {
            watch_id,
            ..watching::of_key(scene.key(&watch_id.to_string()))
        };
        expect::same("id", watching.created(request).await?.watch_id, watch_id)?;
        client
            .put(ask::put(scene.key(&watch_id.to_string()), ""))
            .await?;
        expect::same("id of an event", watching.batch().await?.watch_id, watch_id)?;
    }
    Ok(())
}

async fn own_ids_step_over_chosen_ones(scene: Scene) -> Result<()> {
    let mut watching = Watching::open(&scene.client()?);
    for (watch_id, expected) in [(1, 1), (0, 0), (0, 2), (3, 3), (0, 4)] {
        let request = WatchCreateRequest {
            watch_id,
            ..watching::of_key(scene.key("k"))
        };
        expect::same("id", watching.created(request).await?.watch_id, expected)?;
    }
    Ok(())
}

async fn a_duplicate_id_is_refused(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = |name: &str| WatchCreateRequest {
        watch_id: 42,
        ..watching::of_key(scene.key(name))
    };
    let (mut watching, _) = Watching::start(&client, request("first")).await?;
    watching.create(request("second"));
    is_refused(&watching.next().await?, DUPLICATE)?;
    client.put(ask::put(scene.key("second"), "")).await?;
    client.put(ask::put(scene.key("first"), "")).await?;
    let answer = watching.batch().await?;
    expect::same(
        "the first goes on",
        answer.events[0].kv.as_ref().map(|kv| kv.key.clone()),
        Some(scene.key("first")),
    )
}

async fn an_empty_range_is_refused(scene: Scene) -> Result<()> {
    let mut watching = Watching::open(&scene.client()?);
    for end in ["b", "a"] {
        watching.create(WatchCreateRequest {
            range_end: scene.key(end),
            ..watching::of_key(scene.key("b"))
        });
        is_refused(&watching.next().await?, EMPTY)?;
    }
    Ok(())
}

async fn cancelling_is_acknowledged(scene: Scene) -> Result<()> {
    let (mut watching, created) =
        Watching::start(&scene.client()?, watching::of_key(scene.key("k"))).await?;
    watching.cancel(created.watch_id);
    let answer = watching.next().await?;
    let shape = (
        answer.canceled,
        answer.created,
        answer.watch_id,
        answer.compact_revision,
    );
    expect::same("shape", shape, (true, false, created.watch_id, 0))?;
    expect::same("reason", answer.cancel_reason.as_str(), "")?;
    ensure!(
        expect::header(answer.header.as_ref())?.cluster_id != 0,
        "no cluster id: {answer:?}"
    );
    Ok(())
}

async fn nothing_comes_after_the_acknowledgement(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut watching = Watching::open(&client);
    let gone = watching
        .created(watching::of_key(scene.key("k")))
        .await?
        .watch_id;
    let stays = watching
        .created(watching::of_key(scene.key("k")))
        .await?
        .watch_id;
    watching.cancel(gone);
    expect::same("acknowledged", watching.next().await?.watch_id, gone)?;
    for n in 0..5 {
        client.put(ask::put(scene.key("k"), n.to_string())).await?;
        expect::same("id", watching.batch().await?.watch_id, stays)?;
    }
    Ok(())
}

/// The next answer is that a further watch is created: nothing came in between.
async fn is_silent(scene: &Scene, watching: &mut Watching) -> Result<()> {
    watching
        .created(watching::of_key(scene.key("marker")))
        .await
        .map(drop)
}

async fn cancelling_an_unknown_id_is_silent(scene: Scene) -> Result<()> {
    let (mut watching, _) =
        Watching::start(&scene.client()?, watching::of_key(scene.key("k"))).await?;
    for watch_id in [99, -1, -7, i64::MIN] {
        watching.cancel(watch_id);
    }
    is_silent(&scene, &mut watching).await
}

async fn cancelling_a_refused_watch_is_silent(scene: Scene) -> Result<()> {
    let mut watching = Watching::open(&scene.client()?);
    watching.create(WatchCreateRequest {
        range_end: scene.key("a"),
        ..watching::of_key(scene.key("b"))
    });
    is_refused(&watching.next().await?, EMPTY)?;
    watching.cancel(-1);
    is_silent(&scene, &mut watching).await
}

async fn a_cancelled_id_may_be_used_again(scene: Scene) -> Result<()> {
    let mut watching = Watching::open(&scene.client()?);
    for _ in 0..3 {
        let request = WatchCreateRequest {
            watch_id: 7,
            ..watching::of_key(scene.key("k"))
        };
        watching.created(request).await?;
        watching.cancel(7);
        expect::same("acknowledged", watching.next().await?.canceled, true)?;
    }
    Ok(())
}

async fn a_negative_start_is_refused(scene: Scene) -> Result<()> {
    let mut watching = Watching::open(&scene.client()?);
    for start_revision in [-1, i64::MIN] {
        watching.create(WatchCreateRequest {
            start_revision,
            ..watching::of_key(scene.key("k"))
        });
        is_refused(
            &watching.next().await?,
            "etcdserver: mvcc: required revision has been compacted",
        )?;
    }
    Ok(())
}

async fn a_message_without_a_request_is_ignored(scene: Scene) -> Result<()> {
    let (mut watching, _) =
        Watching::start(&scene.client()?, watching::of_key(scene.key("k"))).await?;
    watching.stream.send(WatchRequest {
        request_union: None,
    });
    is_silent(&scene, &mut watching).await
}

async fn an_unknown_filter_is_ignored(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = WatchCreateRequest {
        filters: vec![9],
        ..watching::of_key(scene.key("k"))
    };
    let (mut watching, _) = Watching::start(&client, request).await?;
    client.put(ask::put(scene.key("k"), "")).await?;
    client.delete(ask::delete(scene.key("k"))).await?;
    watching.events(2).await.map(drop)
}

async fn a_half_closed_stream_goes_on(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    watching.stream.half_close();
    for _ in 0..3 {
        client.put(ask::put(scene.key("k"), "")).await?;
        watching.events(1).await?;
    }
    Ok(())
}

async fn streams_have_ids_of_their_own(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (_first, one) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let (_second, two) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    expect::same("ids", (one.watch_id, two.watch_id), (0, 0))
}

async fn a_refusal_leaves_the_others_alone(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, created) =
        Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    watching.create(WatchCreateRequest {
        range_end: Bytes::from_static(b"a"),
        ..watching::of_key("b")
    });
    is_refused(&watching.next().await?, EMPTY)?;
    client.put(ask::put(scene.key("k"), "")).await?;
    expect::same("id", watching.batch().await?.watch_id, created.watch_id)?;
    // A refused one has used no id.
    expect::same(
        "next id",
        watching
            .created(watching::of_key(scene.key("k")))
            .await?
            .watch_id,
        created.watch_id + 1,
    )
}
