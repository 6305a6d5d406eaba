//! A watch stream's deliveries as frames.
//!
//! Invariants: frames leave in the order of the deliveries; whatever is ready leaves in one piece,
//! up to a bound, so that a busy stream costs few writes. Requests are read only while the client
//! reads its answers, so a flood of them waits in its own socket.

use std::{collections::HashMap, future::Future, pin::Pin, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt, stream, stream::FuturesUnordered};
use meridian_engine::watch::{Cancellation, Delivery, Rejection, WatchDeliveries, WatchId};
use meridian_etcd_api::EtcdError;
use meridian_home::Facts;
use meridian_keyspace::Revision;

use super::request::{Large, Look, Wishes};
use crate::{
    body::Frames,
    call::Connection,
    failure::Failure,
    frame::MESSAGE_BYTES_MAX,
    stream::Ending,
    wire::{
        Header,
        watch::{self as wire, Events, Notice},
    },
};

/// Bytes of frames put into one piece of the body: four HTTP/2 frames of the usual 16 KiB.
const PIECE_BYTES: usize = 64 << 10;

/// Room a piece begins with for each delivery in it: one event of the usual few hundred bytes.
const DELIVERY_BYTES: usize = 384;

/// Deliveries without a look at the requests, on a stream that always has some ready.
const TURNS_MAX: u32 = 16;

/// The id in answers that concern no watcher.
const NO_WATCHER: i64 = -1;

/// What may happen beside deliveries; each is polled only when it was woken.
enum Aside {
    /// The requests ended, or broke.
    Read(Result<(), Failure>),
    /// The stream ends from our side.
    Ended(Failure),
}

type Asides = FuturesUnordered<Pin<Box<dyn Future<Output = Aside> + Send>>>;

/// The frames of one stream.
pub(super) fn frames(
    connection: Arc<Connection>,
    deliveries: WatchDeliveries,
    wishes: Wishes,
    reading: Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>,
    ending: Ending,
) -> Frames {
    let asides = Asides::new();
    asides.push(Box::pin(ending.map(Aside::Ended)));
    asides.push(Box::pin(reading.map(Aside::Read)));
    connection.door.meters.watch_stream_opened();
    let session = Session {
        connection,
        deliveries,
        wishes,
        asides,
        looks: HashMap::new(),
        queue: Vec::new().into_iter(),
        turns: 0,
        events: 0,
        header: None,
    };
    Box::pin(stream::unfold(Some(session), async |session| {
        let mut session = session?;
        let piece = session.piece().await;
        let next = piece.is_ok().then_some(session);
        Some((piece, next))
    }))
}

struct Session {
    connection: Arc<Connection>,
    deliveries: WatchDeliveries,
    wishes: Wishes,
    asides: Asides,
    /// The watchers whose events do not look plain.
    looks: HashMap<WatchId, Look>,
    queue: std::vec::IntoIter<Delivery>,
    turns: u32,
    /// Events of the piece in the making.
    events: usize,
    /// The last header and what it says.
    header: Option<(Facts, Header)>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.door.meters.watch_stream_closed();
    }
}

impl Session {
    /// The next piece of the body.
    async fn piece(&mut self) -> Result<Bytes, Failure> {
        loop {
            let piece = self.encode();
            if !piece.is_empty() {
                return Ok(piece);
            }
            self.turns += 1;
            if self.turns.is_multiple_of(TURNS_MAX)
                && let Some(Some(aside)) = self.asides.next().now_or_never()
            {
                note(aside)?;
            }
            let mut ready = Vec::new();
            tokio::select! {
                biased;
                () = self.deliveries.next(&mut ready) => self.queue = ready.into_iter(),
                Some(aside) = self.asides.next() => note(aside)?,
            }
        }
    }

    /// Turns queued deliveries into frames until the piece is full.
    fn encode(&mut self) -> Bytes {
        if self.queue.len() == 0 {
            return Bytes::new();
        }
        let guess = (self.queue.len() * DELIVERY_BYTES).min(PIECE_BYTES);
        let mut out = BytesMut::with_capacity(guess);
        let facts = self.connection.engine().facts();
        while out.len() < PIECE_BYTES
            && let Some(delivery) = self.queue.next()
        {
            self.put(&mut out, &facts, delivery);
        }
        // Counted once a piece: the counter is shared by all streams.
        let events = std::mem::take(&mut self.events);
        self.connection.door.meters.watch_events(events);
        out.freeze()
    }

    fn put(&mut self, out: &mut BytesMut, facts: &Facts, delivery: Delivery) {
        match delivery {
            Delivery::Events {
                id,
                changes,
                pick,
                revision,
            } => {
                self.connection.shown(revision);
                let header = self.header(facts, revision);
                let events = changes.iter().flat_map(|change| &change.events);
                self.put_events(
                    out,
                    &header,
                    id,
                    &mut events.filter(|event| pick.wants(event)),
                );
            }
            Delivery::Progress { id, revision } => {
                let watch_id = id.map_or(NO_WATCHER, |id| id.0);
                self.notice(
                    out,
                    facts,
                    revision,
                    &Notice {
                        watch_id,
                        ..Notice::default()
                    },
                );
            }
            Delivery::Created { id, revision } => {
                let look = self.wishes.pop();
                if look != Look::PLAIN {
                    self.looks.insert(id, look);
                }
                let notice = Notice {
                    watch_id: id.0,
                    created: true,
                    ..Notice::default()
                };
                self.notice(out, facts, revision, &notice);
            }
            Delivery::Rejected { reason, revision } => {
                self.wishes.pop();
                let notice = Notice {
                    watch_id: NO_WATCHER,
                    created: true,
                    canceled: true,
                    cancel_reason: rejection_text(reason),
                    ..Notice::default()
                };
                self.notice(out, facts, revision, &notice);
            }
            Delivery::Canceled {
                id,
                reason,
                revision,
            } => {
                self.looks.remove(&id);
                self.put_canceled(out, facts, id, &reason, revision);
            }
        }
    }

    fn put_events<'a>(
        &mut self,
        out: &mut BytesMut,
        header: &'a Header,
        id: WatchId,
        wanted: &'a mut dyn Iterator<Item = &'a meridian_keyspace::Event>,
    ) {
        let look = self.look(id);
        let events = Events {
            header,
            watch_id: id.0,
            previous: look.previous,
            wanted,
        };
        let count = match look.large {
            Large::Whole => wire::put_events(out, events),
            Large::Split => wire::put_fragments(out, events, MESSAGE_BYTES_MAX),
        };
        self.events += count;
    }

    /// The header of a delivery: made once for all watchers that a revision concerns.
    fn header(&mut self, facts: &Facts, revision: Revision) -> Header {
        match &self.header {
            Some((made_for, header)) if *made_for == wire::at(facts, revision) => *header,
            Some(_) | None => {
                let facts = wire::at(facts, revision);
                let header = Header::of(&facts);
                self.header = Some((facts, header));
                header
            }
        }
    }

    fn look(&self, id: WatchId) -> Look {
        // Most streams have no watcher with a look of its own.
        if self.looks.is_empty() {
            return Look::PLAIN;
        }
        self.looks.get(&id).copied().unwrap_or(Look::PLAIN)
    }

    fn put_canceled(
        &self,
        out: &mut BytesMut,
        facts: &Facts,
        id: WatchId,
        reason: &Cancellation,
        revision: Revision,
    ) {
        let canceled = Notice {
            watch_id: id.0,
            canceled: true,
            ..Notice::default()
        };
        match reason {
            Cancellation::Asked => self.notice(out, facts, revision, &canceled),
            // etcd leaves the revision out of this one.
            Cancellation::Compacted(at) => {
                let notice = Notice {
                    compact_revision: at.get(),
                    ..canceled
                };
                self.notice(out, facts, Revision::ZERO, &notice);
            }
            Cancellation::Home(text) => {
                let notice = Notice {
                    cancel_reason: text,
                    ..canceled
                };
                self.notice(out, facts, revision, &notice);
            }
        }
    }

    fn notice(&self, out: &mut BytesMut, facts: &Facts, revision: Revision, notice: &Notice<'_>) {
        self.connection.shown(revision);
        wire::put_notice(out, &wire::at(facts, revision), notice);
    }
}

fn note(aside: Aside) -> Result<(), Failure> {
    match aside {
        // Half-closed: the watchers live on.
        Aside::Read(Ok(())) => Ok(()),
        Aside::Read(Err(failure)) | Aside::Ended(failure) => Err(failure),
    }
}

fn rejection_text(reason: Rejection) -> &'static str {
    match reason {
        Rejection::DuplicateId => "mvcc: duplicate watch ID provided on the WatchStream",
        Rejection::EmptyRange => "mvcc: watcher range is empty",
        Rejection::NegativeStart => EtcdError::COMPACTED.message(),
        Rejection::TooManyWatchers => {
            "meridian: this stream has as many watchers as it may have; open another stream"
        }
    }
}
