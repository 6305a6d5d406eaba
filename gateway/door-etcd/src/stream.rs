//! Streaming calls: where each goes, and what ends it from our side.
//!
//! Invariant: every stream ends when the door drains, opened or not yet, and one that asked for a
//! leader ends when the home has none; both as `UNAVAILABLE`, so that clients take them up again
//! elsewhere.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use futures_util::{StreamExt, stream};
use http_body::Body;
use meridian_etcd_api::{EtcdError, Method};
use tonic::Code;

use crate::{
    body::Frames,
    call::{Call, Connection, Served},
    failure::Failure,
    forward,
    frame::Messages,
    keepalive, metadata,
    metadata::LeaderWanted,
    read, watch, wire,
};

/// A client's messages, without prefix; an error is the last item.
pub(crate) type Requests = BoxStream<'static, Result<Bytes, Failure>>;

/// A streaming call under way.
pub(crate) struct Opened {
    pub(crate) frames: Frames,
    pub(crate) served: Served,
}

/// Why a stream ends from our side; never, as long as all is well.
pub(crate) type Ending = Pin<Box<dyn Future<Output = Failure> + Send>>;

/// Opens a streaming call.
///
/// # Errors
/// What the client is told, before any message.
pub(crate) async fn open(call: &Call<'_>, requests: Requests) -> Result<Opened, Failure> {
    let door = &call.connection.door;
    let meters = &door.meters;
    let outcome = match call.check_terms() {
        Ok(()) => door.unless_draining(route(call, requests)).await,
        Err(failure) => Err(failure),
    };
    match &outcome {
        Ok(opened) => meters.answered(call.method, &opened.served),
        Err(failure) => meters.failed(call.method, failure.code),
    }
    outcome
}

async fn route(call: &Call<'_>, requests: Requests) -> Result<Opened, Failure> {
    if call.method == Method::Watch {
        watch::open(call, requests).await
    } else if call.method == Method::LeaseKeepAlive {
        keepalive::open(call, requests).await
    } else if call.method == Method::KvRangeStream {
        read::open(call, requests).await
    } else {
        tunnel(call, requests).await
    }
}

/// Carries a stream home, bytes untouched both ways.
///
/// # Errors
/// The home's, or a fault on the way.
pub(crate) async fn tunnel(call: &Call<'_>, requests: Requests) -> Result<Opened, Failure> {
    let replies = forward::stream(call, requests).await?;
    let connection = Arc::clone(call.connection);
    let frames = replies.messages.map(move |message| {
        let message = message.map_err(Failure::from)?;
        if let Some(revision) = forward::header_revision(&message) {
            connection.shown(revision);
        }
        Ok(wire::framed_bytes(&message))
    });
    let ending = ending(call.connection, call.terms.leader);
    Ok(Opened {
        frames: Box::pin(Until {
            frames: Some(Box::pin(frames)),
            ending,
        }),
        served: Served::Home {
            metadata: metadata::from_home(replies.metadata),
        },
    })
}

/// The messages of a request body.
pub(crate) fn requests_of<B>(messages: Messages<B>) -> Requests
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    stream::unfold(messages, async |mut messages| {
        let next = messages.next().await;
        next.transpose().map(|message| (message, messages))
    })
    .boxed()
}

/// The first message of a call that has only one.
///
/// # Errors
/// There is none, or it is broken.
pub(crate) async fn only(mut requests: Requests) -> Result<Bytes, Failure> {
    requests
        .next()
        .await
        .unwrap_or_else(|| Err(Failure::new(Code::Unknown, "EOF")))
}

/// A call with this one message.
pub(crate) fn once(message: Bytes) -> Requests {
    stream::iter([Ok(message)]).boxed()
}

/// What ends a stream that the home serves.
pub(crate) fn ending(connection: &Arc<Connection>, leader: LeaderWanted) -> Ending {
    let draining = connection.door.draining.clone();
    let engine = Arc::clone(connection.engine());
    Box::pin(async move {
        let leader_lost = async {
            match leader {
                LeaderWanted::Yes => engine.leader_lost().await,
                LeaderWanted::No => std::future::pending().await,
            }
        };
        tokio::select! {
            () = draining.cancelled() => EtcdError::STOPPED.into(),
            () = leader_lost => EtcdError::NO_LEADER.into(),
        }
    })
}

/// Frames until their end or ours.
pub(crate) struct Until {
    /// None once the stream has ended.
    pub(crate) frames: Option<Frames>,
    pub(crate) ending: Ending,
}

impl Stream for Until {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(mut frames) = self.frames.take() else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(failure) = self.ending.as_mut().poll(cx) {
            return Poll::Ready(Some(Err(failure)));
        }
        let polled = frames.as_mut().poll_next(cx);
        if !matches!(polled, Poll::Ready(None)) {
            self.frames = Some(frames);
        }
        polled
    }
}
