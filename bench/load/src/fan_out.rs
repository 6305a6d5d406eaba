//! Watch fan-out: W watchers on C connections, one stream per connection as etcd's own client does it, and a writer.
//!
//! Every watcher watches the same prefix, so one put is W events. A run counts events until all of them have come or
//! ten seconds have passed: an event that is missing is told, never averaged away. Each value begins with the time it
//! was sent; every 16th answer is looked into for it.

mod reader;
mod writer;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use bytes::Bytes;
use h2::SendStream;
use meridian_etcd_api::etcdserverpb::{WatchCreateRequest, WatchRequest, watch_request};
use serde::Serialize;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    connection::{Connection, Endpoint, frame},
    outcome::{Latency, Recorder},
};
use reader::Delivered;
pub(crate) use reader::take_messages;
use writer::Writer;

/// Where the writer puts and the watchers watch.
const PREFIX: &str = "/fan/";
/// The key after every key with the prefix.
const PREFIX_END: &str = "/fan0";
/// For all watchers to be created, or all events to come.
const DEADLINE: Duration = Duration::from_secs(10);

/// The form of a fan-out.
#[derive(Clone, Debug)]
pub struct FanOut {
    /// Whose watchers.
    pub endpoint: Endpoint,
    /// Where the writer puts.
    pub writer: Endpoint,
    /// Watchers in all.
    pub watchers: usize,
    /// Connections, and streams, they share.
    pub connections: usize,
    /// Keys the writer goes round.
    pub keys: u64,
    /// Length of a value, at least 8.
    pub value_bytes: usize,
}

/// Puts per second, or one after the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WriteRate {
    /// The next put starts when the last is acknowledged.
    Closed,
    /// A fixed rate.
    PerSecond(f64),
}

/// What a run delivered.
#[derive(Clone, Debug, Serialize)]
pub struct FanOutOutcome {
    /// Puts acknowledged.
    pub puts: u64,
    /// Events those puts must cause.
    pub events_expected: u64,
    /// Events that came.
    pub events: u64,
    /// Watch answers they came in.
    pub answers: u64,
    /// How long it took until the last event.
    pub seconds: f64,
    /// Events per second.
    pub events_per_second: f64,
    /// From the start of the put to the event, of every 16th answer.
    pub latency: Latency,
}

/// Created watchers and a connected writer.
#[derive(Debug)]
pub struct FanOutSession {
    form: FanOut,
    delivered: Arc<Delivered>,
    writer: Writer,
    // Held so that streams stay open; readers end with the set.
    _requests: Vec<SendStream<Bytes>>,
    _readers: JoinSet<()>,
    _connections: Vec<Connection>,
}

impl FanOutSession {
    /// Opens the streams and waits until every watcher is created.
    pub async fn open(form: FanOut) -> anyhow::Result<Self> {
        ensure!(
            form.connections > 0 && form.watchers >= form.connections,
            "watchers < connections"
        );
        let delivered = Arc::new(Delivered::default());
        let (mut connections, mut requests, mut readers) = (Vec::new(), Vec::new(), JoinSet::new());
        for number in 0..form.connections {
            let share = (form.watchers + number) / form.connections;
            let connection = Connection::open(&form.endpoint).await?;
            let mut caller = connection.caller("etcdserverpb.Watch/Watch");
            let (response, mut stream) = caller.start().await.context("open a watch stream")?;
            for _ in 0..share {
                stream
                    .send_data(create(), false)
                    .context("ask for a watcher")?;
            }
            readers.spawn(reader::read(response, Arc::clone(&delivered)));
            requests.push(stream);
            connections.push(connection);
        }
        let writer = Writer::open(&form).await?;
        let created = timeout(DEADLINE, delivered.created_reached(form.watchers as u64)).await;
        created.context("not every watcher was created in ten seconds")??;
        Ok(Self {
            form,
            delivered,
            writer,
            _requests: requests,
            _readers: readers,
            _connections: connections,
        })
    }

    /// One run: writes for `duration`, then waits for the last event.
    pub async fn run(
        &mut self,
        rate: WriteRate,
        duration: Duration,
    ) -> anyhow::Result<FanOutOutcome> {
        let recorder = Recorder::default();
        self.delivered.begin(recorder.clone());
        let (before, start) = (self.delivered.counts(), Instant::now());
        let puts = self
            .writer
            .write(rate, duration)
            .await
            .context("write for the watchers")?;
        let events_expected = puts * self.form.watchers as u64;
        let all = self
            .delivered
            .events_reached(before.events + events_expected);
        // Late is told by the counts; a broken stream is an error.
        if let Ok(reached) = timeout(DEADLINE, all).await {
            reached?;
        }
        let (seconds, after) = (start.elapsed().as_secs_f64(), self.delivered.counts());
        let events = after.events - before.events;
        Ok(FanOutOutcome {
            puts,
            events_expected,
            events,
            answers: after.answers - before.answers,
            seconds,
            events_per_second: events as f64 / seconds,
            latency: recorder.finish(start.elapsed()).latency,
        })
    }
}

fn create() -> Bytes {
    let request = WatchCreateRequest {
        key: Bytes::from_static(PREFIX.as_bytes()),
        range_end: Bytes::from_static(PREFIX_END.as_bytes()),
        ..WatchCreateRequest::default()
    };
    let request_union = Some(watch_request::RequestUnion::CreateRequest(request));
    frame(&WatchRequest { request_union })
}

#[cfg(test)]
mod tests;
