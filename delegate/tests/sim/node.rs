//! A simulated node: the real choosers, window, decoder and continuity, and the driver around them in small.

use std::collections::{BTreeMap, BTreeSet};

use meridian_delegate::{
    NodeName,
    machine::{
        Assignment, Term,
        hubs::{self, HubChooser, HubIndex},
        source::{Command, Event, Refusal, Source, SourceChooser},
    },
};
use meridian_keyspace::Revision;
use meridian_revlog::{Continuity, Decoder, PushError, Pushed, Verdict};

use super::{
    net::{ConnId, Io, Msg, Pid, StreamId},
    relay::{Relay, Served},
};

/// Why a batch was not taken.
enum Refused {
    NotAligned,
    Fault(String),
}

/// One subscription of ours.
#[derive(Clone, Debug)]
struct Stream {
    conn: ConnId,
    id: StreamId,
    source: Source,
}

pub(crate) struct Node {
    pub(crate) name: NodeName,
    pub(crate) chooser: SourceChooser,
    pub(crate) hubs: HubChooser,
    pub(crate) relay: Relay,
    pub(crate) continuity: Option<Continuity>,
    /// Revisions applied one by one since the process began, or its last snapshot.
    pub(crate) applied: u64,
    hub_pids: Vec<Pid>,
    peers: BTreeMap<String, Pid>,
    dials: BTreeMap<usize, ConnId>,
    hub: Option<ConnId>,
    /// Links we made to delegates: whose, and whether they stand.
    delegates: BTreeMap<ConnId, (NodeName, bool)>,
    /// Links that members made to us.
    members: BTreeSet<ConnId>,
    in_use: Option<Stream>,
    asked: Option<Stream>,
    decoder: Decoder,
    received: u64,
}

impl Node {
    pub(crate) fn start(
        name: NodeName,
        hub_pids: Vec<Pid>,
        peers: BTreeMap<String, Pid>,
        window_bytes: usize,
    ) -> Self {
        Self {
            chooser: SourceChooser::new(name.clone(), Revision::ZERO),
            hubs: HubChooser::new(hub_pids.len()),
            relay: Relay::new(window_bytes),
            continuity: None,
            applied: 0,
            hub_pids,
            peers,
            dials: BTreeMap::new(),
            hub: None,
            delegates: BTreeMap::new(),
            members: BTreeSet::new(),
            in_use: None,
            asked: None,
            decoder: Decoder::new(),
            received: 0,
            name,
        }
    }

    pub(crate) fn position(&self) -> Revision {
        self.relay.at()
    }

    pub(crate) fn tick(&mut self, io: &mut Io<'_>) {
        self.hubs_step(io, hubs::Event::Tick);
        self.step(io, Event::Tick);
    }

    pub(crate) fn beat(&mut self, io: &mut Io<'_>) {
        if let Some(conn) = self.hub {
            io.send(
                conn,
                Msg::NodeBeat {
                    position: self.position(),
                },
            );
        }
        let up = self
            .delegates
            .iter()
            .filter(|(_, (_, is_up))| *is_up)
            .map(|(conn, _)| *conn);
        for conn in self.members.iter().copied().chain(up) {
            io.send(conn, self.peer_beat());
        }
    }

    fn peer_beat(&self) -> Msg {
        Msg::PeerBeat {
            position: self.position(),
            received: self.received,
            holds: self.chooser.assignment().cloned(),
        }
    }

    fn hubs_step(&mut self, io: &mut Io<'_>, event: hubs::Event) {
        for command in self.hubs.handle(io.now, event) {
            match command {
                hubs::Command::Dial(hub) => {
                    let conn = io.dial(self.hub_pids[hub.0]);
                    self.dials.insert(hub.0, conn);
                }
                hubs::Command::Use(hub) => {
                    if self.hub.take().is_some() {
                        self.step(io, Event::HubDown);
                    }
                    self.hub = self.dials.get(&hub.0).copied();
                    self.step(io, Event::HubUp);
                }
                hubs::Command::Close(hub) => {
                    if let Some(conn) = self.dials.remove(&hub.0) {
                        self.drop_conn(io, conn);
                    }
                }
            }
        }
    }

    fn step(&mut self, io: &mut Io<'_>, event: Event) {
        let held = self.chooser.assignment().cloned();
        let commands = self.chooser.handle(io.now, event);
        if self.chooser.assignment() != held.as_ref() {
            self.tell_peers(io);
        }
        if self.chooser.serving().is_none() {
            self.relay.end_all(io);
        }
        for command in commands {
            self.perform(io, command);
        }
    }

    /// A new assignment goes to everybody linked with us before links change: who is cut from the hub hears of it.
    fn tell_peers(&mut self, io: &mut Io<'_>) {
        let up = self
            .delegates
            .iter()
            .filter(|(_, (_, is_up))| *is_up)
            .map(|(conn, _)| *conn);
        for conn in self.members.iter().copied().chain(up) {
            io.send(conn, self.peer_beat());
        }
    }

    fn perform(&mut self, io: &mut Io<'_>, command: Command) {
        match command {
            Command::ConnectDelegate(name, address) => {
                let keep = self.in_use.as_ref().map(|stream| stream.conn);
                self.drop_delegates(io, keep);
                let conn = io.dial(self.peers[&address]);
                self.delegates.insert(conn, (name, false));
            }
            Command::DropDelegate => self.drop_delegates(io, None),
            Command::Subscribe(source) => self.subscribe(io, source),
            Command::Complain { term } => {
                if let Some(conn) = self.hub {
                    io.send(conn, Msg::Complaint { term });
                }
            }
            Command::DropHub => {
                if let Some(conn) = self.hub.take() {
                    self.lose_conn(io, conn);
                    io.close(conn);
                }
            }
        }
    }

    fn drop_delegates(&mut self, io: &mut Io<'_>, keep: Option<ConnId>) {
        let drop: Vec<_> = self
            .delegates
            .keys()
            .copied()
            .filter(|conn| Some(*conn) != keep)
            .collect();
        for conn in drop {
            self.delegates.remove(&conn);
            self.drop_conn(io, conn);
        }
    }

    /// We close a link: no event of it is told.
    fn drop_conn(&mut self, io: &mut Io<'_>, conn: ConnId) {
        self.in_use.take_if(|stream| stream.conn == conn);
        self.asked.take_if(|stream| stream.conn == conn);
        self.relay.conn_closed(conn);
        io.close(conn);
    }

    /// A link ended: tells the machines.
    fn lose_conn(&mut self, io: &mut Io<'_>, conn: ConnId) {
        self.in_use.take_if(|stream| stream.conn == conn);
        self.asked.take_if(|stream| stream.conn == conn);
        self.relay.conn_closed(conn);
        self.members.remove(&conn);
        if let Some((name, _)) = self.delegates.remove(&conn) {
            let is_newest = !self.delegates.values().any(|(other, _)| *other == name);
            if is_newest {
                self.step(io, Event::DelegateDown(name));
            }
        }
        let dial = self
            .dials
            .iter()
            .find(|(_, of)| **of == conn)
            .map(|(hub, _)| *hub);
        if let Some(hub) = dial {
            self.dials.remove(&hub);
            if self.hub == Some(conn) {
                self.hub = None;
                self.step(io, Event::HubDown);
            }
            self.hubs_step(io, hubs::Event::Down(HubIndex(hub)));
        }
    }

    fn subscribe(&mut self, io: &mut Io<'_>, source: Source) {
        let conn = match &source {
            Source::None => None,
            Source::Hub => self.hub,
            Source::Delegate(name) => self
                .delegates
                .iter()
                .find(|(_, (of, is_up))| of == name && *is_up)
                .map(|(conn, _)| *conn),
        };
        if let Some(former) = self.asked.take() {
            io.send(former.conn, Msg::StreamEnd(former.id));
        }
        let Some(conn) = conn else {
            io.faults.push(format!(
                "{} was to ask {source}, to which no link stands",
                self.name
            ));
            return;
        };
        let id = StreamId(io.fresh());
        let from = self
            .continuity
            .map_or(Revision::ZERO, |_| self.position().next());
        let term = self
            .chooser
            .assignment()
            .map_or(Term::default(), |held| held.term);
        let have = self.relay.window.tail();
        io.send(
            conn,
            Msg::Subscribe {
                stream: id,
                from,
                have,
                term,
            },
        );
        self.asked = Some(Stream { conn, id, source });
    }

    pub(crate) fn receive(&mut self, io: &mut Io<'_>, conn: ConnId, from: Pid, msg: Msg) {
        match msg {
            Msg::Syn => {
                self.members.insert(conn);
                io.send(conn, Msg::SynAck);
                io.send(conn, self.peer_beat());
            }
            Msg::SynAck => self.conn_up(io, conn),
            Msg::Welcome => {
                let dial = self
                    .dials
                    .iter()
                    .find(|(_, of)| **of == conn)
                    .map(|(hub, _)| *hub);
                if let Some(hub) = dial {
                    self.hubs_step(io, hubs::Event::Up(HubIndex(hub)));
                }
            }
            Msg::HubBeat { head } if self.hub == Some(conn) => {
                self.step(io, Event::HeardHub { head })
            }
            Msg::Assign(assignment) if self.hub == Some(conn) => {
                self.step(io, Event::Assigned(assignment))
            }
            Msg::HubBeat { .. } | Msg::Assign(_) => {}
            Msg::PeerBeat {
                position,
                received,
                holds,
            } => self.peer_heard(io, conn, position, received, holds),
            Msg::Subscribe {
                stream,
                from,
                have,
                term,
            } => self.serve(io, (conn, stream), from, have, term),
            Msg::Refused(stream, why) => {
                if let Some(asked) = self.asked.take_if(|asked| asked.id == stream) {
                    self.step(
                        io,
                        Event::Refused {
                            source: asked.source,
                            why,
                        },
                    );
                }
            }
            Msg::Subscribed(stream) => self.subscribed(io, stream),
            Msg::StreamEnd(stream) => self.stream_ended(io, conn, stream),
            Msg::Chunk(stream) => self.log_came(io, stream, |_, _| Ok(())),
            Msg::Positioned(stream, position) => self.log_came(io, stream, |node, io| {
                node.positioned(io, position);
                Ok(())
            }),
            Msg::Batches(stream, batches) => self.log_came(io, stream, |node, io| {
                batches
                    .into_iter()
                    .try_for_each(|batch| node.take(io, batch))
            }),
            Msg::Closed => self.lose_conn(io, conn),
            Msg::Hello { .. } | Msg::NodeBeat { .. } | Msg::Complaint { .. } => {
                io.faults.push(format!(
                    "{} got from {from:?} what only hubs get",
                    self.name
                ));
            }
        }
    }

    fn conn_up(&mut self, io: &mut Io<'_>, conn: ConnId) {
        if let Some((name, is_up)) = self.delegates.get_mut(&conn) {
            *is_up = true;
            let name = name.clone();
            self.step(io, Event::DelegateUp(name));
        } else if self.dials.values().any(|dial| *dial == conn) {
            let follows = self
                .chooser
                .assignment()
                .and_then(|held| held.delegate_name().cloned());
            io.send(
                conn,
                Msg::Hello {
                    name: self.name.clone(),
                    relay: Some(self.name.to_string()),
                    position: self.position(),
                    follows,
                },
            );
        }
    }

    fn peer_heard(
        &mut self,
        io: &mut Io<'_>,
        conn: ConnId,
        position: Revision,
        received: u64,
        holds: Option<Assignment>,
    ) {
        if let Some((name, true)) = self.delegates.get(&conn).cloned() {
            self.step(
                io,
                Event::HeardDelegate {
                    delegate: name,
                    position,
                    received,
                },
            );
        }
        if let Some(assignment) = holds {
            self.step(io, Event::Told(assignment));
        }
    }

    fn serve(
        &mut self,
        io: &mut Io<'_>,
        reader: (ConnId, StreamId),
        from: Revision,
        have: Option<(meridian_revlog::GroupId, u32)>,
        term: Term,
    ) {
        let answer = self.chooser.admits(term).and_then(|()| {
            match self.relay.subscribe(io, reader, from, have) {
                Served::Yes => Ok(()),
                Served::Behind => Err(Refusal::Behind),
            }
        });
        match answer {
            Ok(()) => self.relay.pump(io),
            Err(why) => io.send(reader.0, Msg::Refused(reader.1, why)),
        }
    }

    fn subscribed(&mut self, io: &mut Io<'_>, stream: StreamId) {
        let Some(asked) = self.asked.take_if(|asked| asked.id == stream) else {
            return;
        };
        if let Some(former) = self.in_use.replace(asked.clone()) {
            io.send(former.conn, Msg::StreamEnd(former.id));
        }
        self.step(
            io,
            Event::StreamUp {
                source: asked.source,
            },
        );
    }

    fn stream_ended(&mut self, io: &mut Io<'_>, conn: ConnId, stream: StreamId) {
        self.relay.readers.remove(&(conn, stream));
        let ended = self
            .in_use
            .take_if(|s| s.id == stream)
            .or_else(|| self.asked.take_if(|s| s.id == stream));
        if let Some(ended) = ended {
            self.step(
                io,
                Event::StreamDown {
                    source: ended.source,
                },
            );
        }
    }

    fn log_came(
        &mut self,
        io: &mut Io<'_>,
        stream: StreamId,
        take: impl FnOnce(&mut Self, &mut Io<'_>) -> Result<(), Refused>,
    ) {
        if self.in_use.as_ref().is_none_or(|s| s.id != stream) {
            return;
        }
        self.received += 1;
        self.step(io, Event::Received);
        let before = self.position();
        match take(self, io) {
            Ok(()) => {}
            // The stream goes on with a group that another, kept until this one stood, has meanwhile ended.
            Err(Refused::NotAligned) => self.end_in_use(io),
            Err(Refused::Fault(fault)) => io.faults.push(format!("{}: {fault}", self.name)),
        }
        let revision = self.position();
        if revision > before {
            self.step(io, Event::Advanced { revision });
        }
        self.relay.pump(io);
    }

    fn end_in_use(&mut self, io: &mut Io<'_>) {
        if let Some(stream) = self.in_use.take() {
            io.send(stream.conn, Msg::StreamEnd(stream.id));
            self.step(
                io,
                Event::StreamDown {
                    source: stream.source,
                },
            );
        }
    }

    fn positioned(&mut self, io: &mut Io<'_>, position: meridian_revlog::Position) {
        if self
            .relay
            .window
            .at()
            .is_some_and(|at| position.epoch < at.epoch)
        {
            let fault = format!("{}: a snapshot of an epoch which is over", self.name);
            io.faults.push(fault);
            return;
        }
        // The stream that was kept meanwhile has brought as much.
        if self.position() >= position.revision {
            return;
        }
        self.relay.end_all(io);
        self.relay.window.position(position);
        self.continuity = Some(Continuity::at(position.revision));
        self.decoder = Decoder::new();
        self.applied = 0;
    }

    fn take(&mut self, io: &mut Io<'_>, batch: meridian_revlog::Batch) -> Result<(), Refused> {
        let pushed = self
            .relay
            .push(batch.clone())
            .map_err(|error| match error {
                PushError::NotAligned => Refused::NotAligned,
                _ => Refused::Fault(error.to_string()),
            })?;
        match pushed {
            Pushed::Duplicate => return Ok(()),
            Pushed::Next => {}
        }
        let commits = self
            .decoder
            .decode(&batch)
            .map_err(|error| Refused::Fault(error.to_string()))?;
        let continuity = self
            .continuity
            .as_mut()
            .ok_or_else(|| Refused::Fault("a batch before a position".to_owned()))?;
        for commit in commits {
            match continuity
                .admit(commit.revision)
                .map_err(|gap| Refused::Fault(gap.to_string()))?
            {
                Verdict::Duplicate => {}
                Verdict::Next => {
                    self.applied += 1;
                    if !super::home::is_commit(&commit) {
                        io.faults.push(format!(
                            "{}: revision {} is not the home's",
                            self.name, commit.revision
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// Whom this node serves now, by link.
    pub(crate) fn serves(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.relay.readers.keys().map(|(conn, _)| *conn)
    }

    /// Whether it takes the log over the WAN.
    pub(crate) fn takes_from_hub(&self) -> bool {
        self.in_use
            .as_ref()
            .is_some_and(|stream| stream.source == Source::Hub)
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.asked.is_none() && self.in_use.is_some()
    }
}
