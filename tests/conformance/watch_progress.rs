//! Watch: how far a stream has come, asked for and unasked.

use anyhow::{Result, ensure};
use meridian_etcd_api::etcdserverpb::WatchCreateRequest;
use meridian_tests::{
    ask, cases, expect, suite::Scene, target::Kind, watching, watching::Watching,
};

cases!("watch_progress";
    Alone: asking_is_answered_for_the_whole_stream, an_answer_never_overtakes_events,
        every_question_moves_on_with_the_keyspace, asking_with_many_watches_is_answered_once;
    Shared: it_comes_unasked_to_an_idle_watch;
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

async fn it_comes_unasked_to_an_idle_watch(scene: Scene) -> Result<()> {
    // etcd is started with 400 ms here; a gateway keeps etcd's own ten minutes, which no test can wait for
    // (the engine's unit tests drive its clock instead).
    let Kind::Etcd(_) = scene.kind() else {
        return Ok(());
    };
    let client = scene.client()?;
    let request = WatchCreateRequest {
        progress_notify: true,
        ..watching::of_key(scene.key("k"))
    };
    let (mut watching, created) = Watching::start(&client, request).await?;
    let answer = watching.next().await?;
    let shape = (answer.watch_id, answer.events.len(), answer.canceled);
    expect::same("shape", shape, (created.watch_id, 0, false))
}
