//! The node's own log subscription: one stream, its bytes into the relay.
//!
//! Invariant: what it pushes follows what is there, or it ends; it never decodes.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use meridian_keyspace::Revision;
use meridian_revlog::FrameReader;

use crate::{
    link::{
        Kind, Link, Recv, StreamError,
        wire::{Held, LogReply, Subscribe, Why},
    },
    machine::Term,
    metrics,
    relay::Relay,
};

/// How long a source may take to answer: a round trip, its patience with a subscriber that is ahead
/// of it (300 ms), and a retransmission.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// How a subscription went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It was accepted.
    Accepted,
    /// It was refused.
    Refused(Why),
    /// What is due is gone everywhere: a snapshot is needed.
    Compacted(Revision),
}

/// A subscription that is accepted.
pub(super) struct LogStream {
    recv: Recv,
    // Dropping it resets the stream, which is how the far end learns that nobody reads.
    _send: crate::link::Send,
}

/// Asks for the log from where the relay stands.
pub(super) async fn subscribe(
    link: &Link,
    relay: &Relay,
    from: Revision,
    term: Option<Term>,
    bypass: bool,
) -> Result<(Answered, LogStream), StreamError> {
    let (mut send, mut recv) = link.open(Kind::Log).await?;
    let have = relay.tail().filter(|_| {
        // A tail is of use only to who goes on from it.
        relay.at().is_some_and(|at| at.revision.next() == from)
    });
    let subscribe = Subscribe {
        lineage: relay.lineage().0,
        epoch: relay.epoch().get(),
        from: from.get(),
        have: have.map(|(group, batches)| Held {
            group: group.get(),
            batches,
        }),
        term: term.map_or(0, Term::get),
        bypass,
    };
    send.message(&subscribe).await?;
    let reply: LogReply = recv.message_within(ANSWER_DEADLINE).await?;
    let answered = match reply.into_result() {
        Ok(_) => Answered::Accepted,
        Err(refused) => match refused.why() {
            Why::Compacted => Answered::Compacted(Revision::new(refused.compacted)),
            why => Answered::Refused(why),
        },
    };
    Ok((answered, LogStream { recv, _send: send }))
}

impl LogStream {
    /// Takes in what comes, until the stream ends or does not follow what is here.
    pub(super) async fn run(mut self, relay: &Relay, received: &AtomicU64) -> String {
        let mut frames = FrameReader::new();
        loop {
            let chunk = match self.recv.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return "the source ended the stream".to_owned(),
                Err(error) => return error.to_string(),
            };
            received.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            frames.push(chunk);
            loop {
                let batch = match frames.next() {
                    Ok(Some(batch)) => batch,
                    Ok(None) => break,
                    Err(error) => return format!("what came is no log: {error}"),
                };
                metrics::received(batch.frame().len());
                let last = batch.last();
                if let Err(error) = relay.push(batch, None) {
                    return format!("what came does not follow: {error}");
                }
                metrics::position(last.get());
            }
        }
    }

    /// The bytes as they come, for a reader of its own.
    pub(super) fn into_recv(self) -> (Recv, crate::link::Send) {
        (self.recv, self._send)
    }
}
