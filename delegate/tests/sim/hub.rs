//! A simulated hub: the real assigner and window, and the driver around them in small.

use std::{collections::BTreeMap, time::Duration};

use meridian_delegate::{
    NodeName,
    machine::{
        Term,
        assign::{Assigner, Command, Event, LinkId},
        source::Refusal,
    },
};
use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{Codec, Encoder, EncoderConfig, GroupId, Position};

use super::{
    net::{ConnId, Io, Msg},
    relay::{Relay, Served},
};

pub(crate) struct Hub {
    pub(crate) assigner: Assigner,
    pub(crate) relay: Relay,
    encoder: Encoder,
    links: BTreeMap<ConnId, NodeName>,
    newest: BTreeMap<NodeName, ConnId>,
}

impl Hub {
    /// A hub whose window begins after `position`.
    pub(crate) fn start(
        now: Duration,
        position: Position,
        codec: Codec,
        window_bytes: usize,
        id: u64,
    ) -> Self {
        let config = EncoderConfig {
            codec,
            level: 1,
            group_raw_bytes: 2048,
            ..EncoderConfig::new(position.epoch)
        };
        let mut relay = Relay::new(window_bytes);
        relay.window.position(position);
        let millis = u64::try_from(now.as_millis()).expect("short");
        Self {
            assigner: Assigner::new(Term::new(millis + 1)),
            relay,
            encoder: Encoder::new(config, GroupId::new(id << 32)),
            links: BTreeMap::new(),
            newest: BTreeMap::new(),
        }
    }

    /// New commits of the home.
    pub(crate) fn committed(&mut self, io: &mut Io<'_>, commits: &[Commit]) {
        let batch = self.encoder.encode(commits);
        self.relay
            .push(batch)
            .expect("the hub's own log is in order");
        let revision = self.relay.at();
        self.step(io, Event::Head { revision });
        self.relay.pump(io);
    }

    pub(crate) fn beat(&mut self, io: &mut Io<'_>) {
        for conn in self.links.keys() {
            io.send(
                *conn,
                Msg::HubBeat {
                    head: self.relay.at(),
                },
            );
        }
    }

    pub(crate) fn step(&mut self, io: &mut Io<'_>, event: Event) {
        for command in self.assigner.handle(io.now, event) {
            let Command::Assign { to, assignment } = command;
            if let Some(conn) = self.newest.get(&to) {
                io.send(*conn, Msg::Assign(assignment));
            }
        }
    }

    pub(crate) fn next_due(&self) -> Revision {
        self.relay.at().next()
    }

    pub(crate) fn receive(&mut self, io: &mut Io<'_>, conn: ConnId, msg: Msg) {
        match msg {
            Msg::Syn => io.send(conn, Msg::SynAck),
            Msg::Hello {
                name,
                relay,
                position,
                follows,
            } => {
                self.links.insert(conn, name.clone());
                self.newest.insert(name.clone(), conn);
                io.send(conn, Msg::Welcome);
                io.send(
                    conn,
                    Msg::HubBeat {
                        head: self.relay.at(),
                    },
                );
                self.step(
                    io,
                    Event::Joined {
                        node: name,
                        link: LinkId(conn.0),
                        relay,
                        position,
                        follows,
                    },
                );
            }
            Msg::NodeBeat { position } => {
                if let Some(node) = self.links.get(&conn).cloned() {
                    self.step(io, Event::Heard { node, position });
                }
            }
            Msg::Complaint { term } => {
                if let Some(node) = self.links.get(&conn).cloned() {
                    self.step(io, Event::Complained { node, term });
                }
            }
            Msg::Subscribe {
                stream, from, have, ..
            } => match self.relay.subscribe(io, (conn, stream), from, have) {
                Served::Yes => self.relay.pump(io),
                Served::Behind => io.send(conn, Msg::Refused(stream, Refusal::Behind)),
            },
            Msg::StreamEnd(stream) => {
                self.relay.readers.remove(&(conn, stream));
            }
            Msg::Closed => self.closed(io, conn),
            Msg::SynAck
            | Msg::Welcome
            | Msg::HubBeat { .. }
            | Msg::PeerBeat { .. }
            | Msg::Assign(_)
            | Msg::Refused(..)
            | Msg::Subscribed(_)
            | Msg::Chunk(_)
            | Msg::Positioned(..)
            | Msg::Batches(..) => {
                io.faults.push("a hub got what only nodes get".to_owned());
            }
        }
    }

    fn closed(&mut self, io: &mut Io<'_>, conn: ConnId) {
        self.relay.conn_closed(conn);
        if let Some(node) = self.links.remove(&conn) {
            if self.newest.get(&node) == Some(&conn) {
                self.newest.remove(&node);
            }
            self.step(
                io,
                Event::Left {
                    node,
                    link: LinkId(conn.0),
                },
            );
        }
    }
}
