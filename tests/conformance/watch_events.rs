//! Watch: which events come, what they look like, in what order, and what comes together.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::WatchCreateRequest,
    mvccpb::{Event, KeyValue, event::EventType},
};
use meridian_tests::{ask, cases, expect, suite::Scene, watching, watching::Watching};

cases!("watch_events";
    Alone: a_put_brings_the_whole_key, a_deletion_brings_key_and_revision_only, prev_kv_is_the_value_before,
        prev_kv_comes_only_when_asked, every_change_comes_once_in_order, one_revision_comes_together,
        five_thousand_puts_of_one_revision_come_together,
        changes_made_at_the_home_come_too, each_watch_gets_its_own_events,
        a_key_made_anew_begins_anew, big_revisions_split_only_when_asked, the_header_is_never_behind;
);

pub(crate) fn kv(event: &Event) -> Result<&KeyValue> {
    event.kv.as_ref().context("an event has a key-value")
}

async fn a_put_brings_the_whole_key(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let lease = client.lease_grant(ask::lease(100)).await?.id;
    let (mut watching, created) =
        Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    client
        .put(meridian_etcd_api::etcdserverpb::PutRequest {
            lease,
            ..ask::put(scene.key("k"), "2")
        })
        .await?;
    let stored = client.range(ask::get(scene.key("k"))).await?.kvs.remove(0);
    let events = watching.events(2).await?;
    expect::same("type", events[1].r#type(), EventType::Put)?;
    expect::same("key-value", kv(&events[1])?, &stored)?;
    expect::same("lease", stored.lease, lease)?;
    expect::same("id", created.watch_id, 0)
}

async fn a_deletion_brings_key_and_revision_only(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let gone = expect::revision(
        client
            .delete(ask::delete(scene.key("k")))
            .await?
            .header
            .as_ref(),
    )?;
    let event = watching.events(1).await?.remove(0);
    let expected = KeyValue {
        key: scene.key("k"),
        mod_revision: gone,
        ..Default::default()
    };
    expect::same(
        "event",
        (event.r#type(), event.kv, event.prev_kv),
        (EventType::Delete, Some(expected), None),
    )
}

async fn prev_kv_is_the_value_before(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let request = WatchCreateRequest {
        prev_kv: true,
        ..watching::of_key(scene.key("k"))
    };
    let (mut watching, _) = Watching::start(&client, request).await?;
    let mut states = vec![None];
    for value in ["1", "2"] {
        client.put(ask::put(scene.key("k"), value)).await?;
        states.push(client.range(ask::get(scene.key("k"))).await?.kvs.pop());
    }
    client.delete(ask::delete(scene.key("k"))).await?;
    states.push(None);
    client.put(ask::put(scene.key("k"), "3")).await?;
    let found: Vec<_> = watching
        .events(4)
        .await?
        .into_iter()
        .map(|event| event.prev_kv)
        .collect();
    expect::same("prev_kv", found, states)
}

async fn prev_kv_comes_only_when_asked(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    client.put(ask::put(scene.key("k"), "1")).await?;
    let mut watching = Watching::open(&client);
    watching.created(watching::of_key(scene.key("k"))).await?;
    watching
        .created(WatchCreateRequest {
            prev_kv: true,
            ..watching::of_key(scene.key("k"))
        })
        .await?;
    client.put(ask::put(scene.key("k"), "2")).await?;
    for _ in 0..2 {
        let answer = watching.batch().await?;
        expect::same(
            "has prev_kv",
            answer.events[0].prev_kv.is_some(),
            answer.watch_id == 1,
        )?;
    }
    Ok(())
}

async fn every_change_comes_once_in_order(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, created) =
        Watching::start(&client, watching::of_prefix(&scene.prefix())).await?;
    let first = expect::revision(created.header.as_ref())? + 1;
    let writers = (0..8).map(|writer| {
        let (client, scene) = (client.clone(), scene.clone());
        tokio::spawn(async move {
            for n in 0..40 {
                client
                    .put(ask::put(scene.key(&format!("{writer}")), n.to_string()))
                    .await?;
            }
            anyhow::Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await??;
    }
    let events = watching.events(320).await?;
    let found: Vec<i64> = events
        .iter()
        .map(|event| kv(event).map(|kv| kv.mod_revision))
        .collect::<Result<_>>()?;
    expect::same("revisions", found, (first..first + 320).collect::<Vec<_>>())
}

async fn one_revision_comes_together(scene: Scene) -> Result<()> {
    let client = super::range::three(&scene).await?;
    let (mut watching, _) = Watching::start(&client, watching::of_prefix(&scene.prefix())).await?;
    for round in 0..20 {
        let txn = ask::all_of(vec![
            ask::op_put(scene.key("z"), round.to_string()),
            ask::op_delete(ask::delete(scene.key("a"))),
            ask::op_txn(ask::all_of(vec![ask::op_put(
                scene.key("b"),
                round.to_string(),
            )])),
        ]);
        client.txn(txn).await?;
        let events = watching.batch().await?.events;
        // In the order of operations, and all of them in one answer.
        let keys: Vec<Bytes> = events
            .iter()
            .map(|event| kv(event).map(|kv| kv.key.clone()))
            .collect::<Result<_>>()?;
        expect::same("keys", keys, super::range::keys(&scene, &["z", "a", "b"]))?;
        client.put(ask::put(scene.key("a"), "")).await?;
        watching.events(1).await?;
    }
    Ok(())
}

async fn five_thousand_puts_of_one_revision_come_together(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_prefix(&scene.prefix())).await?;
    let puts = |from: usize, n: usize| -> Vec<_> {
        (from..from + n)
            .map(|n| ask::op_put(scene.key(&format!("{n:05}")), "v"))
            .collect()
    };
    let middle = |m: usize| {
        ask::all_of(
            (0..20)
                .map(|n| ask::op_txn(ask::all_of(puts(m * 1000 + n * 50, 50))))
                .collect(),
        )
    };
    client
        .txn(ask::all_of(
            (0..5).map(|m| ask::op_txn(middle(m))).collect(),
        ))
        .await?;
    let answer = watching.batch().await?;
    expect::same("events", answer.events.len(), 5000)?;
    let keys: Vec<&Bytes> = answer
        .events
        .iter()
        .filter_map(|event| Some(&event.kv.as_ref()?.key))
        .collect();
    expect::same("in the order of operations", keys.is_sorted(), true)
}

async fn changes_made_at_the_home_come_too(scene: Scene) -> Result<()> {
    let home = scene.target()?.connect_home().await?;
    let (mut watching, _) =
        Watching::start(&scene.client()?, watching::of_key(scene.key("k"))).await?;
    let at = expect::revision(
        home.put(ask::put(scene.key("k"), ""))
            .await?
            .header
            .as_ref(),
    )?;
    expect::same(
        "revision",
        kv(&watching.events(1).await?[0])?.mod_revision,
        at,
    )
}

async fn each_watch_gets_its_own_events(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let mut watching = Watching::open(&client);
    for name in ["a", "b", "c"] {
        watching.created(watching::of_key(scene.key(name))).await?;
    }
    for (id, name) in ["a", "b", "c"].into_iter().enumerate() {
        client.put(ask::put(scene.key(name), "")).await?;
        let answer = watching.batch().await?;
        expect::same("id", answer.watch_id, i64::try_from(id)?)?;
        expect::same("key", &kv(&answer.events[0])?.key, &scene.key(name))?;
    }
    Ok(())
}

async fn a_key_made_anew_begins_anew(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    client.put(ask::put(scene.key("k"), "")).await?;
    client.delete(ask::delete(scene.key("k"))).await?;
    client.put(ask::put(scene.key("k"), "")).await?;
    let events = watching.events(3).await?;
    let last = kv(&events[2])?;
    expect::same(
        "version and creation",
        (last.version, last.create_revision),
        (1, last.mod_revision),
    )
}

async fn big_revisions_split_only_when_asked(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    // 1.4 MB now and 1.4 MB before are more than the 2 MiB at which etcd splits.
    let puts = |fill: u8| {
        ask::all_of(
            (0..10)
                .map(|n| ask::op_put(scene.key(&n.to_string()), vec![fill; 140_000]))
                .collect(),
        )
    };
    client.txn(puts(b'a')).await?;
    let request = WatchCreateRequest {
        prev_kv: true,
        ..watching::of_prefix(&scene.prefix())
    };
    let (mut whole, _) = Watching::start(&client, request.clone()).await?;
    let (mut split, _) = Watching::start(
        &client,
        WatchCreateRequest {
            fragment: true,
            ..request
        },
    )
    .await?;
    let at = expect::revision(client.txn(puts(b'b')).await?.header.as_ref())?;
    let answer = whole.batch().await?;
    expect::same("whole", (answer.events.len(), answer.fragment), (10, false))?;
    let (mut events, mut parts) = (Vec::new(), 0);
    loop {
        let answer = split.batch().await?;
        expect::same(
            "revision of a part",
            expect::revision(answer.header.as_ref())?,
            at,
        )?;
        events.extend(answer.events);
        parts += 1;
        if !answer.fragment {
            break;
        }
    }
    ensure!(parts > 1, "not split");
    expect::same("events", events, answer.events)?;
    client
        .delete(ask::delete_all(&scene.prefix()))
        .await
        .map(drop)
        .map_err(Into::into)
}

async fn the_header_is_never_behind(scene: Scene) -> Result<()> {
    let client = scene.client()?;
    let (mut watching, _) = Watching::start(&client, watching::of_key(scene.key("k"))).await?;
    let mut shown = 0;
    for _ in 0..20 {
        client.put(ask::put(scene.key("k"), "")).await?;
        let answer = watching.batch().await?;
        let revision = expect::revision(answer.header.as_ref())?;
        let newest = answer
            .events
            .iter()
            .filter_map(|event| Some(event.kv.as_ref()?.mod_revision))
            .max();
        ensure!(
            newest.is_some_and(|newest| revision >= newest),
            "header {revision}, events to {newest:?}"
        );
        ensure!(revision >= shown, "header {revision} after {shown}");
        shown = revision;
    }
    Ok(())
}
