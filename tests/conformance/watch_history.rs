//! Watch: starting in the past, in the future, and where history has been compacted.

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::{
    etcdserverpb::{CompactionRequest, WatchCreateRequest},
    mvccpb::{Event, event::EventType},
};
use meridian_tests::{
    ask, cases, client::Client, expect, suite::Scene, watching, watching::Watching,
};

cases!("watch_history";
    Alone: the_past_comes_first_and_then_the_present, a_start_is_inclusive, old_events_carry_old_prev_kv,
        thousands_of_old_revisions_come_in_order, old_revisions_come_whole, a_future_start_delivers_nothing_below,
        a_start_below_the_compaction_is_cancelled, a_start_at_the_compaction_is_allowed,
        a_deletion_at_the_compaction_is_seen, prev_kv_before_the_compaction_is_absent,
        a_compaction_does_not_cancel_what_has_gone_by, starting_while_others_write_misses_nothing;
);

fn from(start_revision: i64, request: WatchCreateRequest) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision,
        ..request
    }
}

fn revisions(events: &[Event]) -> Vec<i64> {
    events
        .iter()
        .filter_map(|event| Some(event.kv.as_ref()?.mod_revision))
        .collect()
}

async fn write(client: &Client, scene: &Scene, n: usize) -> Result<Vec<i64>> {
    let mut revisions = Vec::new();
    for n in 0..n {
        let answer = client.put(ask::put(scene.key("k"), n.to_string())).await?;
        revisions.push(expect::revision(answer.header.as_ref())?);
    }
    Ok(revisions)
}

async fn compact(client: &Client, revision: i64) -> Result<()> {
    client
        .compact(CompactionRequest {
            revision,
            physical: false,
        })
        .await?;
    Ok(())
}

async fn the_past_comes_first_and_then_the_present(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut expected = write(&client, &scene, 5).await?;
    let (mut watching, _) =
        Watching::start(&client, from(expected[0], watching::of_key(scene.key("k")))).await?;
    expected.extend(write(&client, &scene, 5).await?);
    expect::same(
        "revisions",
        revisions(&watching.events(10).await?),
        expected,
    )
}

async fn a_start_is_inclusive(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = write(&client, &scene, 4).await?;
    let (mut watching, _) =
        Watching::start(&client, from(at[2], watching::of_key(scene.key("k")))).await?;
    expect::same(
        "revisions",
        revisions(&watching.events(2).await?),
        at[2..].to_vec(),
    )
}

async fn old_events_carry_old_prev_kv(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = write(&client, &scene, 4).await?;
    client.delete(ask::delete(scene.key("k"))).await?;
    let request = WatchCreateRequest {
        prev_kv: true,
        ..from(at[0], watching::of_key(scene.key("k")))
    };
    let (mut watching, _) = Watching::start(&client, request).await?;
    let events = watching.events(5).await?;
    expect::same("first", events[0].prev_kv.is_none(), true)?;
    for pair in events.windows(2) {
        expect::same("prev_kv is the event before", &pair[1].prev_kv, &pair[0].kv)?;
    }
    Ok(())
}

async fn thousands_of_old_revisions_come_in_order(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut writers = Vec::new();
    let first = expect::revision(client.range(ask::get("k")).await?.header.as_ref())? + 1;
    for writer in 0..16 {
        let (client, scene) = (client.clone(), scene.clone());
        writers.push(tokio::spawn(async move {
            for n in 0..160 {
                client
                    .put(ask::put(scene.key(&writer.to_string()), n.to_string()))
                    .await?;
            }
            anyhow::Ok(())
        }));
    }
    for writer in writers {
        writer.await??;
    }
    let (mut watching, _) =
        Watching::start(&client, from(first, watching::of_prefix(&scene.prefix()))).await?;
    let events = watching.events(2560).await?;
    expect::same(
        "revisions",
        revisions(&events),
        (first..first + 2560).collect::<Vec<_>>(),
    )
}

async fn old_revisions_come_whole(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut first = None;
    for round in 0..300 {
        let puts = (0..7)
            .map(|n| ask::op_put(scene.key(&n.to_string()), round.to_string()))
            .collect();
        let at = expect::revision(client.txn(ask::all_of(puts)).await?.header.as_ref())?;
        first.get_or_insert(at);
    }
    let first = first.context("rounds were written")?;
    let (mut watching, _) =
        Watching::start(&client, from(first, watching::of_prefix(&scene.prefix()))).await?;
    let mut next = first;
    while next < first + 300 {
        let found = revisions(&watching.batch().await?.events);
        let count = i64::try_from(found.len())?;
        ensure!(count % 7 == 0, "{count} events: a revision of 7 is split");
        let expected: Vec<i64> = (0..count).map(|n| next + n / 7).collect();
        expect::same("revisions", found, expected)?;
        next += count / 7;
    }
    Ok(())
}

async fn a_future_start_delivers_nothing_below(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let now = expect::revision(client.range(ask::get("k")).await?.header.as_ref())?;
    let (mut watching, created) =
        Watching::start(&client, from(now + 4, watching::of_key(scene.key("k")))).await?;
    expect::same("revision", expect::revision(created.header.as_ref())?, now)?;
    write(&client, &scene, 5).await?;
    expect::same(
        "revisions",
        revisions(&watching.events(2).await?),
        vec![now + 4, now + 5],
    )
}

async fn a_start_below_the_compaction_is_cancelled(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = write(&client, &scene, 5).await?;
    compact(&client, at[3]).await?;
    for start in [at[2], at[0], 1] {
        // First it is created, then it is cancelled: clients wait for the one before the other.
        let (mut watching, created) =
            Watching::start(&client, from(start, watching::of_key(scene.key("k")))).await?;
        let answer = watching.next().await?;
        let shape = (
            answer.canceled,
            answer.created,
            answer.watch_id,
            answer.compact_revision,
            answer.events.len(),
        );
        expect::same("shape", shape, (true, false, created.watch_id, at[3], 0))?;
        expect::same("reason", answer.cancel_reason.as_str(), "")?;
        ensure!(
            expect::header(answer.header.as_ref())?.cluster_id != 0,
            "no cluster id: {answer:?}"
        );
        // The stream goes on, and the id is free again.
        watching
            .created(WatchCreateRequest {
                watch_id: 0,
                ..watching::of_key(scene.key("k"))
            })
            .await?;
        client.put(ask::put(scene.key("k"), "")).await?;
        watching.events(1).await?;
    }
    Ok(())
}

async fn a_start_at_the_compaction_is_allowed(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = write(&client, &scene, 5).await?;
    compact(&client, at[3]).await?;
    let (mut watching, _) =
        Watching::start(&client, from(at[3], watching::of_key(scene.key("k")))).await?;
    expect::same(
        "revisions",
        revisions(&watching.events(2).await?),
        at[3..].to_vec(),
    )
}

async fn a_deletion_at_the_compaction_is_seen(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    write(&client, &scene, 2).await?;
    let gone = expect::revision(
        client
            .delete(ask::delete(scene.key("k")))
            .await?
            .header
            .as_ref(),
    )?;
    client.put(ask::put(scene.key("other"), "")).await?;
    client
        .compact(CompactionRequest {
            revision: gone,
            physical: true,
        })
        .await?;
    let (mut watching, _) =
        Watching::start(&client, from(gone, watching::of_prefix(&scene.prefix()))).await?;
    let events = watching.events(2).await?;
    expect::same("revisions", revisions(&events), vec![gone, gone + 1])?;
    expect::same("type", events[0].r#type(), EventType::Delete)
}

async fn prev_kv_before_the_compaction_is_absent(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let at = write(&client, &scene, 4).await?;
    compact(&client, at[2]).await?;
    let request = WatchCreateRequest {
        prev_kv: true,
        ..from(at[2], watching::of_key(scene.key("k")))
    };
    let (mut watching, _) = Watching::start(&client, request).await?;
    let events = watching.events(2).await?;
    expect::same("at the compaction", &events[0].prev_kv, &None)?;
    expect::same("after it", &events[1].prev_kv, &events[0].kv)
}

async fn a_compaction_does_not_cancel_what_has_gone_by(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let at = write(&client, &scene, 3).await?;
    expect::same("before", revisions(&watching.events(3).await?), at.clone())?;
    compact(&client, at[2]).await?;
    let after = write(&client, &scene, 2).await?;
    expect::same("after", revisions(&watching.events(2).await?), after)
}

async fn starting_while_others_write_misses_nothing(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let first = write(&client, &scene, 1).await?[0];
    let writer = {
        let (client, scene) = (client.clone(), scene.clone());
        tokio::spawn(async move { write(&client, &scene, 400).await })
    };
    let mut streams = Vec::new();
    while !writer.is_finished() && streams.len() < 40 {
        let request = from(first, watching::of_key(scene.key("k")));
        streams.push(Watching::start(&client, request).await?.0);
    }
    let last = *writer.await??.last().context("it wrote")?;
    for mut watching in streams {
        let mut next = first;
        while next <= last {
            for revision in revisions(&watching.batch().await?.events) {
                expect::same("revision", revision, next)?;
                next += 1;
            }
        }
    }
    Ok(())
}
