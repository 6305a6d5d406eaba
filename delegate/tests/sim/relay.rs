//! The window of one simulated process and who reads from it: the serving rules of the real relay.

use std::collections::BTreeMap;

use meridian_keyspace::Revision;
use meridian_revlog::{Batch, Cursor, GroupId, PushError, Pushed, SeekError, Window};

use super::net::{ConnId, Io, Msg, StreamId};

/// Bytes of one read: small, so that streams are many messages.
const READ_BYTES: usize = 256;

pub struct Relay {
    pub window: Window,
    pub readers: BTreeMap<(ConnId, StreamId), Cursor>,
    /// Sends every batch but this one, counted down over all readers: the planted bug.
    pub drop_batch: Option<u32>,
    /// Says that it lives, and sends no log.
    pub is_stuck: bool,
}

/// What a subscription is told.
pub enum Served {
    Yes,
    Behind,
}

impl Relay {
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            window: Window::new(limit_bytes),
            readers: BTreeMap::new(),
            drop_batch: None,
            is_stuck: false,
        }
    }

    pub fn at(&self) -> Revision {
        self.window.at().map_or(Revision::ZERO, |at| at.revision)
    }

    pub fn push(&mut self, batch: Batch) -> Result<Pushed, PushError> {
        self.window.push(batch)
    }

    /// Subscribes a reader; one that wants what is gone gets a snapshot first.
    pub fn subscribe(
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
    pub fn pump(&mut self, io: &mut Io<'_>) {
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
                drop_one(&mut self.drop_batch, &mut batches);
                io.send(reader.0, Msg::Batches(reader.1, batches));
            }
        }
        for (conn, stream) in lost {
            self.end(io, conn, stream);
        }
    }

    pub fn end(&mut self, io: &mut Io<'_>, conn: ConnId, stream: StreamId) {
        if self.readers.remove(&(conn, stream)).is_some() {
            io.send(conn, Msg::StreamEnd(stream));
        }
    }

    pub fn end_all(&mut self, io: &mut Io<'_>) {
        for (conn, stream) in std::mem::take(&mut self.readers).into_keys() {
            io.send(conn, Msg::StreamEnd(stream));
        }
    }

    pub fn conn_closed(&mut self, conn: ConnId) {
        self.readers.retain(|(of, _), _| *of != conn);
    }
}

fn drop_one(countdown: &mut Option<u32>, batches: &mut Vec<Batch>) {
    let Some(left) = countdown else {
        return;
    };
    let count = batches.len() as u32;
    if *left < count {
        batches.remove(*left as usize);
        *countdown = None;
    } else {
        *left -= count;
    }
}
