//! One streaming call: opened on one endpoint, and tied to it until it ends.
//!
//! Invariant: a stream goes to another endpoint only while none of its requests has been taken and
//! nothing of it has left; once open it is never reopened here, for only its client knows what it
//! has seen.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_core::{Stream, stream::BoxStream};
use futures_util::StreamExt;
use meridian_runtime::Backoff;
use parking_lot::Mutex;

use super::{
    attempt,
    bounds::RESEND_PAUSE,
    endpoint::Endpoint,
    exchange::blame,
    fault, headers, metrics,
    pool::{Pool, Route},
};
use crate::{CallError, Fate, Replies, StreamCall};

/// Opens `call`; a connection must be there within `call_timeout`. The answer's begin is waited
/// for as long as the connection lives, because etcd sends it with its first message.
pub(super) async fn open(
    pool: &Pool,
    call: StreamCall,
    call_timeout: Duration,
) -> Result<Replies, CallError> {
    let method = call.method;
    let result = try_open(pool, call, call_timeout).await;
    metrics::call_ended(method, &result);
    result
}

async fn try_open(
    pool: &Pool,
    call: StreamCall,
    call_timeout: Duration,
) -> Result<Replies, CallError> {
    let StreamCall {
        method,
        metadata,
        requests,
    } = call;
    let connect_by = Instant::now() + call_timeout;
    let metadata = headers::forwarded(&metadata);
    let requests = Requests::new(requests);
    let mut backoff = Backoff::new(RESEND_PAUSE.0, RESEND_PAUSE.1);
    let mut failed_at: Option<Arc<Endpoint>> = None;
    loop {
        let chosen = pool
            .choose(Route::Steady, failed_at.as_ref(), connect_by)
            .await;
        let chosen = chosen.ok_or_else(fault::no_connection)?;
        let client = &chosen.connection.client;
        let opened = attempt::streaming(client, method, metadata.clone(), requests.clone()).await;
        let (error, fault) = match opened {
            Ok((metadata, replies)) => {
                return Ok(Replies {
                    metadata,
                    messages: tell_faults(replies, chosen.endpoint),
                });
            }
            Err(failure) => failure,
        };
        blame(&chosen.endpoint, &error, fault.as_ref());
        let again = error.fate == Fate::NotSent && !requests.were_taken();
        if !again || Instant::now() >= connect_by {
            return Err(error);
        }
        metrics::resent(method);
        failed_at = Some(chosen.endpoint);
        backoff.pause().await;
    }
}

/// The replies, with failures told as the client is to see them; ends after the first.
fn tell_faults(
    replies: impl Stream<Item = Result<Bytes, tonic::Status>> + Send + 'static,
    endpoint: Arc<Endpoint>,
) -> BoxStream<'static, Result<Bytes, CallError>> {
    let told = replies.map(move |reply| {
        reply.map_err(|status| {
            let (error, fault) = fault::call_error(status);
            blame(&endpoint, &error, fault.as_ref());
            error
        })
    });
    told.boxed()
}

/// A client's requests, which can be lent to one connection after another until one is taken.
#[derive(Clone)]
struct Requests {
    lent: Arc<Lent>,
}

struct Lent {
    requests: Mutex<BoxStream<'static, Bytes>>,
    taken: AtomicBool,
}

impl Requests {
    fn new(requests: BoxStream<'static, Bytes>) -> Self {
        let lent = Lent {
            requests: Mutex::new(requests),
            taken: AtomicBool::new(false),
        };
        Self {
            lent: Arc::new(lent),
        }
    }

    /// Whether a request, or their end, has gone to a connection.
    fn were_taken(&self) -> bool {
        self.lent.taken.load(Ordering::SeqCst)
    }
}

impl Stream for Requests {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // One connection at a time polls, so the lock is free.
        let next = self.lent.requests.lock().poll_next_unpin(context);
        if next.is_ready() {
            self.lent.taken.store(true, Ordering::SeqCst);
        }
        next
    }
}
