//! One watch stream on the home: opening it, reading it, and why it ended.
//!
//! A member without leader cancels it, because it asks for that. Reopens nothing.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use meridian_etcd_api::{
    EtcdError, Method,
    etcdserverpb::{
        WatchCreateRequest, WatchProgressRequest, WatchRequest, watch_request::RequestUnion,
    },
};
use meridian_keyspace::Revision;
use prost::Message;
use tokio::time::timeout;
use tonic::Code;

use super::{
    bounds::WATCH_OPEN_TIMEOUT,
    fault,
    pool::Pool,
    probe::{broken, with_leader},
    streams,
    wire::{self, WatchBatch},
};
use crate::{CallError, Fate, FollowError, Replies, StreamCall};

/// An open watch.
pub(super) struct HomeWatch {
    replies: Replies,
    /// What came before the home had confirmed the watch is nothing, so this is its confirmation;
    /// it may carry events already.
    first: Option<WatchBatch>,
}

/// How the home is asked for its progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not at all.
    NotAsked,
    /// Again and again, with this pause.
    Every(Duration),
}

impl HomeWatch {
    /// Opens a watch; returns when the home has confirmed it.
    pub(super) async fn open(
        pool: &Pool,
        create: WatchCreateRequest,
        progress: Progress,
        call_timeout: Duration,
    ) -> Result<Self, FollowError> {
        let create = stream::once(std::future::ready(request(RequestUnion::CreateRequest(
            create,
        ))));
        let requests = match progress {
            Progress::NotAsked => create.chain(stream::pending()).boxed(),
            Progress::Every(pause) => create.chain(progress_requests(pause)).boxed(),
        };
        let call = StreamCall {
            method: Method::Watch,
            metadata: with_leader(),
            requests,
        };
        let opening = async {
            let replies = streams::open(pool, call, call_timeout).await?;
            let mut watch = Self {
                replies,
                first: None,
            };
            watch.first = Some(watch.next().await?);
            Ok(watch)
        };
        let opened = timeout(WATCH_OPEN_TIMEOUT + call_timeout, opening).await;
        opened.unwrap_or_else(|_| Err(fault::no_answer().into()))
    }

    /// The next answer. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<WatchBatch, FollowError> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let message = self
            .replies
            .messages
            .next()
            .await
            .unwrap_or_else(|| Err(ended()))?;
        let batch = wire::watch_batch(&message).map_err(broken)?;
        if batch.canceled {
            Err(canceled(&batch))
        } else {
            Ok(batch)
        }
    }
}

fn progress_requests(pause: Duration) -> impl Stream<Item = Bytes> {
    stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((
            request(RequestUnion::ProgressRequest(WatchProgressRequest {})),
            (),
        ))
    })
}

fn request(union: RequestUnion) -> Bytes {
    Bytes::from(
        WatchRequest {
            request_union: Some(union),
        }
        .encode_to_vec(),
    )
}

fn canceled(batch: &WatchBatch) -> FollowError {
    if batch.compacted > Revision::ZERO {
        return FollowError::Compacted {
            compacted: batch.compacted,
        };
    }
    let known = EtcdError::from_message(&batch.cancel_reason);
    let code = known.map_or(Code::Cancelled, EtcdError::code);
    let reason = match &*batch.cancel_reason {
        "" => "the home canceled the watch without a reason",
        reason => reason,
    };
    CallError::new(code, reason, Fate::Refused).into()
}

fn ended() -> CallError {
    CallError::new(Code::Unavailable, "the home ended the watch", Fate::Refused)
}

#[cfg(test)]
mod tests;
