//! The Watch service: one stream with its watchers, driven by whoever reads its replies.
//!
//! Owns the order of messages. Invariants: a watcher's created answer comes before its events; its
//! events come in revision order, each once, whole revisions together (unless it asked for
//! fragments); a progress answer comes after every event up to its revision. A reader that is slow
//! holds up its own stream alone, and is cancelled if the history it needs is compacted.

mod stream;
mod watcher;

use std::sync::Arc;

use futures_util::stream::unfold;

use self::stream::WatchStream;
#[cfg(test)]
pub(super) use self::watcher::fragments;
use super::{node::Node, wire};
use crate::{Replies, StreamCall};

/// Opens a stream.
pub(super) fn open(node: &Arc<Node>, call: StreamCall) -> Replies {
    let stream = WatchStream::new(Arc::clone(node), call.requests);
    wire::replies(unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        match stream.next().await {
            Ok(message) => Some((Ok(message), Some(stream))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}
