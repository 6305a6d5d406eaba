//! Reads a watch stream: cuts it into messages, counts events and created watchers, samples latency.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::{sync::Arc, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use h2::client::ResponseFuture;
use tokio::sync::Notify;

use super::writer::since_stamp;
use crate::{
    connection::{CallFailed, end_of},
    fields::Fields,
    outcome::Recorder,
};

/// One answer in so many is looked into for its latency.
const SAMPLE: u64 = 16;
/// A level is looked at this often: the counters are hot and wake nobody.
const LOOK: Duration = Duration::from_millis(2);

// Field numbers of WatchResponse, Event and KeyValue.
const CREATED: u64 = 3;
const CANCELED: u64 = 4;
const EVENTS: u64 = 11;
const EVENT_KV: u64 = 2;
const KV_VALUE: u64 = 5;

/// What has come over all streams so far.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    created: AtomicU64,
    events: AtomicU64,
    answers: AtomicU64,
    broken: AtomicBool,
    words: Mutex<Option<String>>,
    recorder: Mutex<Option<Recorder>>,
    failed: Notify,
}

/// Counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) answers: u64,
}

impl Delivered {
    pub(super) fn begin(&self, recorder: Recorder) {
        *self
            .recorder
            .lock()
            .expect("nothing panics while it holds this") = Some(recorder);
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            events: self.events.load(Ordering::Relaxed),
            answers: self.answers.load(Ordering::Relaxed),
        }
    }

    pub(super) async fn created_reached(&self, level: u64) -> anyhow::Result<()> {
        self.reached(&self.created, level).await
    }

    pub(super) async fn events_reached(&self, level: u64) -> anyhow::Result<()> {
        self.reached(&self.events, level).await
    }

    async fn reached(&self, counter: &AtomicU64, level: u64) -> anyhow::Result<()> {
        while counter.load(Ordering::Relaxed) < level {
            if self.broken.load(Ordering::Relaxed) {
                let words = self
                    .words
                    .lock()
                    .expect("nothing panics while it holds this")
                    .clone();
                anyhow::bail!("a watch stream ended: {}", words.unwrap_or_default());
            }
            let _ = tokio::time::timeout(LOOK, self.failed.notified()).await;
        }
        Ok(())
    }

    fn fail(&self, words: String) {
        self.words
            .lock()
            .expect("nothing panics while it holds this")
            .get_or_insert(words);
        self.broken.store(true, Ordering::Relaxed);
        self.failed.notify_waiters();
    }

    fn count(&self, message: &[u8]) {
        let mut events = 0;
        for field in Fields(message) {
            match field.number {
                EVENTS => events += 1,
                CREATED => drop(self.created.fetch_add(1, Ordering::Relaxed)),
                CANCELED => self.fail("the server cancelled a watcher".to_owned()),
                _ => {}
            }
        }
        if events == 0 {
            return;
        }
        self.events.fetch_add(events, Ordering::Relaxed);
        if self
            .answers
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SAMPLE)
        {
            self.sample(message);
        }
    }

    fn sample(&self, message: &[u8]) {
        let event = Fields(message).first(EVENTS);
        let value = event.and_then(|event| Fields(event).first(EVENT_KV));
        let value = value.and_then(|kv| Fields(kv).first(KV_VALUE));
        let recorder = self
            .recorder
            .lock()
            .expect("nothing panics while it holds this");
        if let Some((recorder, latency)) = recorder.as_ref().zip(value.and_then(since_stamp)) {
            recorder.success(latency, message.len() as u64);
        }
    }
}

/// Reads until the stream ends, which is a failure: nobody asked for it.
pub(super) async fn read(response: ResponseFuture, delivered: Arc<Delivered>) {
    let words = match read_messages(response, &delivered).await {
        Ok(()) => "closed by the server".to_owned(),
        Err(failed) => failed.to_string(),
    };
    delivered.fail(words);
}

async fn read_messages(response: ResponseFuture, delivered: &Delivered) -> Result<(), CallFailed> {
    let mut body = response.await?.into_body();
    let mut rest = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        take_messages(&mut rest, chunk, |message| delivered.count(message));
    }
    end_of(&mut body).await
}

/// Hands over the whole messages in `chunk`; what is left of the last waits in `rest`.
pub(crate) fn take_messages(rest: &mut BytesMut, mut chunk: Bytes, mut sink: impl FnMut(&[u8])) {
    if !rest.is_empty() {
        rest.extend_from_slice(&chunk);
        chunk = rest.split().freeze();
    }
    while let Some(length) = whole_length(&chunk) {
        sink(&chunk[5..length]);
        chunk.advance(length);
    }
    rest.extend_from_slice(&chunk);
}

fn whole_length(chunk: &[u8]) -> Option<usize> {
    let length: [u8; 4] = chunk.get(1..5)?.try_into().ok()?;
    let whole = 5 + u32::from_be_bytes(length) as usize;
    (chunk.len() >= whole).then_some(whole)
}
