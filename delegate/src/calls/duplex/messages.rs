//! Messages that have arrived and wait for their reader.
//!
//! The queue has no bound of its own: credit is its bound, checked before a message is put in.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::flow::Flow;
use crate::link::wire::Failure;

/// Where messages are put.
pub(super) struct Arrivals(mpsc::UnboundedSender<Arrival>);

enum Arrival {
    Message(Bytes),
    Failure(Failure),
    End,
}

/// What has arrived, in order; ends after a failure. Dropping it drops the call.
pub(in super::super) struct Messages {
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    flow: Arc<Flow>,
    ended: bool,
    _call: Option<DropGuard>,
}

pub(super) fn arrivals(flow: Arc<Flow>) -> (Arrivals, Messages) {
    let (sender, arrivals) = mpsc::unbounded_channel();
    let messages = Messages {
        arrivals,
        flow,
        ended: false,
        _call: None,
    };
    (Arrivals(sender), messages)
}

impl Arrivals {
    /// Puts one more, which is the last if it is a failure. A reader that is gone misses nothing.
    pub(super) fn put(&self, message: Result<Bytes, Failure>) {
        let _ = self.0.send(match message {
            Ok(bytes) => Arrival::Message(bytes),
            Err(failure) => Arrival::Failure(failure),
        });
    }

    /// No more will come, and all is well. Without it the end is a failure.
    pub(super) fn end(self) {
        let _ = self.0.send(Arrival::End);
    }
}

impl Messages {
    /// Cancels `token` when dropped.
    pub(super) fn ending(mut self, token: CancellationToken) -> Self {
        self._call = Some(token.drop_guard());
        self
    }
}

impl Stream for Messages {
    type Item = Result<Bytes, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.arrivals.poll_recv(context)) {
            Some(Arrival::Message(bytes)) => {
                self.flow.read(bytes.len());
                Some(Ok(bytes))
            }
            Some(Arrival::Failure(failure)) => {
                self.ended = true;
                Some(Err(failure))
            }
            Some(Arrival::End) => {
                self.ended = true;
                None
            }
            // The task was stopped with the node.
            None => {
                self.ended = true;
                Some(Err(super::lost()))
            }
        })
    }
}
