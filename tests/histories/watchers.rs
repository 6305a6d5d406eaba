//! Watchers that resume as clients do, and the home's own history to compare them with.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::{etcdserverpb::WatchCreateRequest, mvccpb::Event};
use meridian_tests::{
    ask,
    client::Client,
    expect,
    wait::{self, eventually},
    watching::{self, Watching},
};

use crate::World;

/// The last write: who has seen it has seen all.
const LAST: Bytes = Bytes::from_static(b"register/the end");

fn revision(event: &Event) -> i64 {
    event.kv.as_ref().map_or(0, |kv| kv.mod_revision)
}

fn is_last(event: &Event) -> bool {
    event.kv.as_ref().is_some_and(|kv| kv.key == LAST)
}

fn from(start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision,
        prev_kv: true,
        ..watching::of_prefix(&"register/".into())
    }
}

/// Watches through one gateway from the beginning on, resuming where it was, until the last write.
pub(crate) async fn follow(world: Arc<World>, gateway: usize) -> Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    while !events.last().is_some_and(is_last) {
        let next = events.last().map_or(1, |event| revision(event) + 1);
        let client = Client::connect(&world.urls[gateway])?;
        // A gateway that is away is tried again; one that is there must go on from `next`.
        if let Ok((watching, _)) = Watching::start(&client, from(next)).await {
            take(watching, &mut events).await?;
        }
    }
    Ok(events)
}

async fn take(mut watching: Watching, events: &mut Vec<Event>) -> Result<()> {
    loop {
        // Silence is no fault while nothing is written: then one just begins anew.
        let Ok(answer) = watching.stream.next_within(Duration::from_secs(4)).await else {
            return Ok(());
        };
        ensure!(!answer.canceled, "cancelled: {answer:?}");
        let newest = answer.events.iter().map(revision).max().unwrap_or(0);
        ensure!(
            expect::revision(answer.header.as_ref())? >= newest,
            "a header behind its events"
        );
        let before = events.last().map_or(0, revision);
        let first = answer.events.first().map_or(i64::MAX, revision);
        ensure!(first > before, "revision {first} after {before}");
        events.extend(answer.events);
        if events.last().is_some_and(is_last) {
            return Ok(());
        }
    }
}

/// Makes the last write and gives all events of the home, read past the gateways.
pub(crate) async fn truth(world: &World) -> Result<Vec<Event>> {
    let endpoints = world.cluster.lock().await.endpoints();
    let client = Client::connect(endpoints.first().context("a member")?)?;
    let write = || client.put(ask::put(LAST, "1"));
    eventually(wait::SOON, "the last write", write).await?;
    let (mut watching, _) = Watching::start(&client, from(1)).await?;
    let mut events: Vec<Event> = Vec::new();
    // It may have been written more than once, if an answer was lost.
    let last = client
        .range(ask::get(LAST))
        .await?
        .kvs
        .first()
        .context("the last key")?
        .create_revision;
    while events.last().is_none_or(|event| revision(event) < last) {
        events.extend(watching.batch().await?.events);
    }
    events.retain(|event| revision(event) <= last);
    Ok(events)
}

/// What a watcher saw is what happened.
pub(crate) fn compare(truth: &[Event], seen: &[Event]) -> Result<()> {
    let until = truth.last().map_or(0, revision);
    let seen: Vec<&Event> = seen
        .iter()
        .filter(|event| revision(event) <= until)
        .collect();
    for (n, event) in truth.iter().enumerate() {
        let other = seen
            .get(n)
            .with_context(|| format!("{} events seen of {}", seen.len(), truth.len()))?;
        ensure!(
            *other == event,
            "event {n}: seen {other:?}, happened {event:?}"
        );
    }
    expect::same("events", seen.len(), truth.len())
}
