//! Watch: how far a stream has come, asked for and unasked.

use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::WatchCreateRequest;
use meridian_tests::{
    ask, cases, expect,
    suite::Scene,
    target::PROGRESS_INTERVAL,
    watching::{self, Watching},
};

cases!("watch_progress";
    Alone: asking_is_answered_for_the_whole_stream, an_answer_never_overtakes_events,
        every_question_moves_on_with_the_keyspace, asking_with_many_watches_is_answered_once,
        it_comes_unasked_to_an_idle_watch;
    Shared: it_does_not_come_while_events_flow, it_comes_only_to_those_who_asked;
);

async fn asking_is_answered_for_the_whole_stream(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let now = expect::revision(
        client
            .put(ask::put(scene.key("other"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    // A gateway may be behind the write for a moment; the answer says how far it is, and moves on.
    let mut reached = 0;
    while reached < now {
        watching.progress();
        let answer = watching.next().await?;
        let shape = (
            answer.watch_id,
            answer.created,
            answer.canceled,
            answer.events.len(),
        );
        expect::same("shape", shape, (-1, false, false, 0))?;
        let header = expect::header(answer.header.as_ref())?;
        ensure!(header.cluster_id != 0, "no cluster id");
        ensure!(
            header.revision >= reached,
            "progress to {} after {reached}",
            header.revision
        );
        reached = header.revision;
    }
    Ok(())
}

async fn an_answer_never_overtakes_events(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, created) =
        Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let mut delivered = expect::revision(created.header.as_ref())?;
    let mut last = delivered;
    for round in 0..60 {
        last = expect::revision(
            client
                .put(ask::put(scene.key("k"), round.to_string()))
                .await?
                .header
                .as_ref(),
        )?;
        watching.progress();
    }
    let mut answers = 0;
    while delivered < last || answers == 0 {
        let answer = watching.next().await?;
        if answer.watch_id == -1 {
            answers += 1;
            let promised = expect::revision(answer.header.as_ref())?.min(last);
            ensure!(
                delivered >= promised,
                "progress to {promised}, but events only to {delivered}"
            );
        }
        for event in answer.events {
            delivered = event.kv.map_or(0, |kv| kv.mod_revision);
        }
        if delivered == last && answers == 0 {
            watching.progress();
        }
    }
    Ok(())
}

async fn every_question_moves_on_with_the_keyspace(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let mut shown = 0;
    for _ in 0..10 {
        client.put(ask::put(scene.key("other"), "")).await?;
        watching.progress();
        let revision = expect::revision(watching.next().await?.header.as_ref())?;
        ensure!(revision >= shown, "progress to {revision} after {shown}");
        shown = revision;
    }
    Ok(())
}

async fn asking_with_many_watches_is_answered_once(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut watching = Watching::open(&client);
    for name in ["a", "b", "c"] {
        watching.created(watching::of_key(scene.key(name))).await?;
    }
    watching.progress();
    expect::same("progress", watching.next().await?.watch_id, -1)?;
    // The next thing on the stream is the event: no second answer came.
    client.put(ask::put(scene.key("b"), "")).await?;
    expect::same("event", watching.next().await?.watch_id, 1)
}

/// A watch that wants to be told.
fn notified(key: Bytes) -> WatchCreateRequest {
    WatchCreateRequest {
        progress_notify: true,
        ..watching::of_key(key)
    }
}

async fn it_comes_unasked_to_an_idle_watch(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut watching = Watching::open(&client);
    // Two on one stream: the second is told under its own id.
    watching
        .created(watching::of_key(scene.key("silent")))
        .await?;
    let created = watching.created(notified(scene.key("k"))).await?;
    expect::same("id", created.watch_id, 1)?;
    let mut shown = expect::revision(created.header.as_ref())?;
    for _ in 0..2 {
        let put = client.put(ask::put(scene.key("other"), "")).await?;
        let now = expect::revision(put.header.as_ref())?;
        // One may have been under way; the next tells the current revision, which nobody else moves.
        while shown < now {
            let answer = watching.next().await?;
            let shape = (
                answer.watch_id,
                answer.events.len(),
                answer.created,
                answer.canceled,
            );
            expect::same("shape", shape, (1, 0, false, false))?;
            let header = expect::header(answer.header.as_ref())?;
            ensure!(
                (shown..=now).contains(&header.revision),
                "progress to {} after {shown}, and {now} is the newest",
                header.revision
            );
            shown = header.revision;
        }
    }
    Ok(())
}

async fn it_does_not_come_while_events_flow(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, created) = Watching::start(&client, notified(scene.key("k"))).await?;
    let (started, mut seen) = (Instant::now(), expect::revision(created.header.as_ref())?);
    let mut pace = tokio::time::interval(PROGRESS_INTERVAL / 8);
    while started.elapsed() < PROGRESS_INTERVAL * 4 {
        pace.tick().await;
        let put = client.put(ask::put(scene.key("k"), "")).await?;
        let now = expect::revision(put.header.as_ref())?;
        while seen < now {
            let answer = watching.next().await?;
            ensure!(
                !answer.events.is_empty(),
                "progress between events: {answer:?}"
            );
            seen = expect::revision(answer.header.as_ref())?;
        }
    }
    // As soon as they stop, it comes.
    let answer = watching.next().await?;
    expect::same("shape", (answer.watch_id, answer.events.len()), (0, 0))?;
    // Others write beside us.
    let told = expect::revision(answer.header.as_ref())?;
    ensure!(told >= seen, "progress to {told} after {seen}");
    Ok(())
}

async fn it_comes_only_to_those_who_asked(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut silent, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let (mut told, _) = Watching::start(&client, notified(scene.key("k"))).await?;
    for _ in 0..3 {
        told.next().await?;
    }
    client.put(ask::put(scene.key("k"), "")).await?;
    // The first thing on the stream is the event: nothing came before it.
    expect::same("events", silent.next().await?.events.len(), 1)
}
