//! A watch stream as tests use it: creations in order, answers one by one.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::{
        WatchCancelRequest, WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse,
        watch_request::RequestUnion,
    },
    mvccpb::Event,
};
use tonic::Code;

use crate::{client::Client, conversation::Conversation};

/// One `Watch` stream.
#[derive(Debug)]
pub struct Watching {
    /// The stream itself.
    pub stream: Conversation<WatchRequest, WatchResponse>,
}

impl Watching {
    /// Opens a stream without a watch on it.
    #[must_use]
    pub fn open(client: &Client) -> Self {
        Self {
            stream: client.converse("/etcdserverpb.Watch/Watch"),
        }
    }

    /// Opens a stream with one watch on it, already created.
    ///
    /// # Errors
    /// When the watch is not created.
    pub async fn start(
        client: &Client,
        request: WatchCreateRequest,
    ) -> Result<(Self, WatchResponse)> {
        let mut watching = Self::open(client);
        let created = watching.created(request).await?;
        Ok((watching, created))
    }

    /// Asks for a watch.
    pub fn create(&mut self, request: WatchCreateRequest) {
        self.stream.send(WatchRequest {
            request_union: Some(RequestUnion::CreateRequest(request)),
        });
    }

    /// Asks for a watch and takes the answer, which must be that it is created.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn created(&mut self, request: WatchCreateRequest) -> Result<WatchResponse> {
        self.create(request);
        let answer = self.next().await?;
        ensure!(
            answer.created && !answer.canceled,
            "the watch was not created: {answer:?}"
        );
        Ok(answer)
    }

    /// Asks for the end of watch `watch_id`.
    pub fn cancel(&mut self, watch_id: i64) {
        let cancel = WatchCancelRequest { watch_id };
        self.stream.send(WatchRequest {
            request_union: Some(RequestUnion::CancelRequest(cancel)),
        });
    }

    /// Asks how far the stream has come.
    pub fn progress(&mut self) {
        let progress = WatchProgressRequest {};
        self.stream.send(WatchRequest {
            request_union: Some(RequestUnion::ProgressRequest(progress)),
        });
    }

    /// The next answer, whatever it is.
    ///
    /// # Errors
    /// When none comes.
    pub async fn next(&mut self) -> Result<WatchResponse> {
        self.stream.next().await
    }

    /// The next answer that carries events.
    ///
    /// # Errors
    /// When none comes, or the watch is cancelled.
    pub async fn batch(&mut self) -> Result<WatchResponse> {
        loop {
            let answer = self.next().await?;
            ensure!(!answer.canceled, "the watch was cancelled: {answer:?}");
            if !answer.events.is_empty() {
                return Ok(answer);
            }
        }
    }

    /// The next `n` events, of as many answers as they come in.
    ///
    /// # Errors
    /// When fewer come, or the last answer brings more.
    pub async fn events(&mut self, n: usize) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < n {
            events.extend(self.batch().await?.events);
        }
        ensure!(
            events.len() == n,
            "{} events came where {n} were expected: {events:?}",
            events.len()
        );
        Ok(events)
    }

    /// How the stream ends.
    ///
    /// # Errors
    /// When it does not end within `patience`.
    pub async fn ends(&mut self, patience: Duration) -> Result<(Code, String)> {
        self.stream.ends(patience).await
    }
}

/// A watch of one key from now on.
#[must_use]
pub fn of_key(key: impl Into<Bytes>) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.into(),
        ..Default::default()
    }
}

/// A watch of all keys that begin with `prefix`.
#[must_use]
pub fn of_prefix(prefix: &Bytes) -> WatchCreateRequest {
    WatchCreateRequest {
        key: prefix.clone(),
        range_end: prefix_end(prefix),
        ..Default::default()
    }
}

/// The first key after all keys that begin with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.last_mut() {
        if *last < u8::MAX {
            *last += 1;
            return end.into();
        }
        end.pop();
    }
    // Nothing lies behind: an end of one zero byte means "to the last key".
    Bytes::from_static(b"\0")
}
