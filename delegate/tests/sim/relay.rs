//! The window of one simulated process and who reads from it: the serving rules of the real relay.

use std::collections::BTreeMap;

use meridian_keyspace::Revision;
use meridian_revlog::{Batch, Cursor, GroupId, PushError, Pushed, SeekError, Window};

use super::net::{ConnId, Io, Msg, StreamId};

/// Bytes of one read: small, so that streams are many messages.
const READ_BYTES: usize = 256;

pub(crate) struct Relay {
    pub(crate) window: Window,
    pub(crate) readers: BTreeMap<(ConnId, StreamId), Cursor>,
    /// Leaves out one batch of so many, counted over all readers: a planted bug.
    pub(crate) drop_every: Option<u32>,
    sent: u32,
    /// Says that it lives, and sends no log.
    pub(crate) is_stuck: bool,
}

/// What a subscription is told.
pub(crate) enum Served {
    Yes,
    Behind,
}

impl Relay {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            window: Window::new(limit_bytes),
            readers: BTreeMap::new(),
            drop_every: None,
            sent: 0,
            is_stuck: false,
        }
    }

    pub(crate) fn at(&self) -> Revision {
        self.window.at().map_or(Revision::ZERO, |at| at.revision)
    }

    pub(crate) fn push(&mut self, batch: Batch) -> Result<Pushed, PushError> {
        self.window.push(batch)
    }

    /// Subscribes a reader; one that wants what is gone gets a snapshot first.
    pub(crate) fn subscribe(
        &mut self,
        io: &mut Io<'_>,
        (conn, stream): (ConnId, StreamId),
        from: Revision,
        have: Option<(GroupId, u32)>,
    ) -> Served {
        let sought = match self.window.at() {
            // Who holds nothing begins with a snapshot, wherever the window begins.
            Some(at) if from == Revision::ZERO => Err(SeekError::Before { first: at.revision }),
            Some(_) | None => self.window.seek(from, have),
        };
        let cursor = match sought {
            Ok(cursor) => {
                io.send(conn, Msg::Subscribed(stream));
                cursor
            }
            Err(SeekError::Unpositioned | SeekError::Ahead { .. }) => return Served::Behind,
            Err(SeekError::Before { .. }) => {
                let at = self.window.at().expect("positioned");
                io.send(conn, Msg::Subscribed(stream));
                for _ in 0..3 {
                    io.send(conn, Msg::Chunk(stream));
                }
                io.send(conn, Msg::Positioned(stream, at));
                let end = self.window.seek(at.revision.next(), None);
                end.expect("the end is there")
            }
        };
        self.readers.insert((conn, stream), cursor);
        Served::Yes
    }

    /// Sends whatever readers do not have yet.
    pub(crate) fn pump(&mut self, io: &mut Io<'_>) {
        if self.is_stuck {
            return;
        }
        let mut lost = Vec::new();
        for (reader, cursor) in &mut self.readers {
            loop {
                let mut batches = Vec::new();
                if self.window.read(cursor, READ_BYTES, &mut batches).is_err() {
                    lost.push(*reader);
                    break;
                }
                if batches.is_empty() {
                    break;
                }
                batches.retain(|_| {
                    self.sent += 1;
                    self.drop_every
                        .is_none_or(|every| !self.sent.is_multiple_of(every))
                });
                io.send(reader.0, Msg::Batches(reader.1, batches));
            }
        }
        for (conn, stream) in lost {
            self.end(io, conn, stream);
        }
    }

    pub(crate) fn end(&mut self, io: &mut Io<'_>, conn: ConnId, stream: StreamId) {
        if self.readers.remove(&(conn, stream)).is_some() {
            io.send(conn, Msg::StreamEnd(stream));
        }
    }

    pub(crate) fn end_all(&mut self, io: &mut Io<'_>) {
        for (conn, stream) in std::mem::take(&mut self.readers).into_keys() {
            io.send(conn, Msg::StreamEnd(stream));
        }
    }

    pub(crate) fn conn_closed(&mut self, conn: ConnId) {
        self.readers.retain(|(of, _), _| *of != conn);
    }
}
