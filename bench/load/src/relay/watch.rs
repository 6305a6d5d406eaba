//! Watchers that note when they see a revision: over gRPC at any etcd endpoint, and of a node's own feed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use h2::SendStream;
use meridian_etcd_api::etcdserverpb::{WatchCreateRequest, WatchRequest, watch_request};
use meridian_keyspace::Revision;
use meridian_revlog::Feed;
use tokio::{
    task::{AbortHandle, JoinSet},
    time::{Duration, timeout},
};

use super::{
    objects::{PREFIX, PREFIX_END},
    timeline::Times,
};
use crate::{
    connection::{Connection, Endpoint, frame},
    fan_out::take_messages,
    fields::Fields,
};

/// For a watcher to be created behind a long round trip.
const CREATED: Duration = Duration::from_secs(20);

// Field numbers of WatchResponse, Event and KeyValue.
const RESPONSE_CREATED: u64 = 3;
const RESPONSE_EVENTS: u64 = 11;
const EVENT_KV: u64 = 2;
const KV_MOD_REVISION: u64 = 3;

/// A watcher of all objects at an endpoint; ends when dropped.
#[derive(Debug)]
pub(super) struct GrpcWatch {
    pub(super) times: Arc<Times>,
    _connection: Connection,
    _request: SendStream<Bytes>,
    _reader: JoinSet<()>,
}

impl GrpcWatch {
    /// Opens it and waits until it is created.
    pub(super) async fn open(endpoint: &Endpoint, times: Arc<Times>) -> anyhow::Result<Self> {
        let connection = Connection::open(endpoint).await?;
        let mut caller = connection.caller("etcdserverpb.Watch/Watch");
        let (response, mut request) = caller.start().await.context("open a watch stream")?;
        request
            .send_data(create(), false)
            .context("ask for a watcher")?;
        let (told, created) = tokio::sync::oneshot::channel();
        let (noting, mut told) = (Arc::clone(&times), Some(told));
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            let Ok(response) = response.await else { return };
            let (mut body, mut rest) = (response.into_body(), BytesMut::new());
            while let Some(Ok(chunk)) = body.data().await {
                let _ = body.flow_control().release_capacity(chunk.len());
                take_messages(&mut rest, chunk, |message| {
                    note(message, &noting);
                    if Fields(message).any(|field| field.number == RESPONSE_CREATED)
                        && let Some(told) = told.take()
                    {
                        let _ = told.send(());
                    }
                });
            }
        });
        let created = timeout(CREATED, created).await;
        created
            .context("a watcher was not created")?
            .context("a watch stream ended")?;
        Ok(Self {
            times,
            _connection: connection,
            _request: request,
            _reader: reader,
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

fn note(message: &[u8], times: &Times) {
    for event in Fields(message).filter(|field| field.number == RESPONSE_EVENTS) {
        let kv = Fields(event.bytes).first(EVENT_KV).unwrap_or_default();
        let revision = { Fields(kv) }.find(|field| field.number == KV_MOD_REVISION);
        if let Some(revision) = revision.and_then(|field| i64::try_from(field.varint).ok()) {
            times.saw(revision);
        }
    }
}

/// A reader of a feed, decoded as a replica would; ends when dropped.
#[derive(Debug)]
pub(super) struct FeedWatch {
    pub(super) times: Arc<Times>,
    /// Times that the feed broke off.
    broken: Arc<AtomicU64>,
    reading: AbortHandle,
}

impl FeedWatch {
    /// Reads from `from` on.
    pub(super) fn open(feed: Arc<dyn Feed>, from: i64, times: Arc<Times>) -> Self {
        let broken = Arc::<AtomicU64>::default();
        let (noting, counting) = (Arc::clone(&times), Arc::clone(&broken));
        let reading = tokio::spawn(async move {
            let mut next = Revision::new(from);
            loop {
                if let Ok(mut commits) = feed.follow(next).await {
                    while let Some(Ok(arrived)) = commits.next().await {
                        for commit in arrived {
                            noting.saw(commit.revision.get());
                            next = commit.revision.next();
                        }
                    }
                }
                counting.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self {
            times,
            broken,
            reading: reading.abort_handle(),
        }
    }

    /// How often it broke off.
    pub(super) fn broken(&self) -> u64 {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Drop for FeedWatch {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
