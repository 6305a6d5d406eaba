//! Goal: a reader is served whole or told why not, and is never led from one log into another. Method: a
//! station on one end of a real link; the other end asks and decodes.

use meridian_keyspace::{SharedKeyspace, WindowLimits};
use meridian_revlog::{Decoder, Epoch, FrameReader};
use tokio::time::timeout;

use super::*;
use crate::{
    link::{
        Kind, Recv, Send,
        wire::{
            LogReply, Refused, Resume, SnapshotHead, SnapshotReply, SnapshotRequest, Subscribe, Why,
        },
    },
    relay::Lineage,
    replica::ReplicaSource,
    testing::{
        Pair, SOON,
        home::{Fault, LogHome},
        log::{Shown, at, batches, commit, commit_of, encoder, replica, rev},
        noise,
    },
};

const LARGE: usize = 64 << 20;

struct World {
    pair: Pair,
    relay: Arc<Relay>,
    gate: watch::Sender<Gate>,
    shown: Arc<Shown>,
    station: Arc<Station>,
}

impl World {
    async fn new(home: Option<Arc<LogHome>>) -> Self {
        let pair = Pair::new().await;
        let (relay, gate) = (Relay::new(LARGE), watch::Sender::new(Gate::Open));
        let (shown, slot) = (Arc::<Shown>::default(), Arc::<ReplicaSlot>::default());
        slot.fill(Arc::clone(&shown) as Arc<dyn ReplicaSource>);
        let station = Arc::new(Station {
            relay: Arc::clone(&relay),
            replica: slot,
            home: home.map(|home| home as Arc<dyn Home>),
            gate: gate.subscribe(),
            encoder: EncoderConfig::new(Epoch::ZERO),
            served: Arc::default(),
            snapshots: Semaphore::new(SNAPSHOTS_MAX),
        });
        let (link, tasks) = (pair.accepted.clone(), pair.hub.tasks.clone());
        let serving = Arc::clone(&station);
        pair.hub.tasks.spawn("serve", async move {
            while let Some((kind, send, recv)) = link.accept().await {
                let station = Arc::clone(&serving);
                tasks.spawn("stream", async move {
                    match kind {
                        Kind::Log => drop(log(&station, send, recv, "lan").await),
                        Kind::Snapshot => drop(snapshot(&station, send, recv).await),
                        other => panic!("{other:?}"),
                    }
                });
            }
        });
        Self {
            pair,
            relay,
            gate,
            shown,
            station,
        }
    }

    /// The relay holds these revisions of this home, as groups of their own.
    fn fill(&self, lineage: u64, revisions: std::ops::RangeInclusive<i64>) {
        self.relay
            .position(Lineage(lineage), at(revisions.start() - 1));
        for batch in batches(&mut encoder(lineage << 8, 1), revisions) {
            self.relay.push(batch, None).unwrap();
        }
    }

    fn push(&self, group: u64, revision: i64) {
        let mut batches = batches(&mut encoder(group << 8, 1), revision..=revision);
        self.relay.push(batches.remove(0), None).unwrap();
    }

    fn show(&self, replica: &Arc<SharedKeyspace>) {
        *self.shown.0.lock() = Some(Arc::clone(replica));
    }

    async fn subscribe(&self, from: i64, lineage: u64, term: u64) -> Result<Reading, Refused> {
        let (mut send, mut recv) = self.pair.link.open(Kind::Log).await.unwrap();
        let subscribe = Subscribe {
            lineage,
            from,
            term,
            ..Subscribe::default()
        };
        send.message(&subscribe).await.unwrap();
        let reply: LogReply = recv.message_within(SOON).await.unwrap();
        reply.into_result()?;
        Ok(Reading {
            recv,
            _send: send,
            frames: FrameReader::new(),
            decoder: Decoder::new(),
            due: from,
        })
    }

    async fn refused(&self, from: i64, lineage: u64, term: u64) -> Why {
        let reading = self.subscribe(from, lineage, term).await;
        reading.err().expect("it is refused").why()
    }

    async fn ask(&self, resume: Option<i64>) -> (Result<SnapshotHead, Refused>, Send, Recv) {
        let (mut send, mut recv) = self.pair.link.open(Kind::Snapshot).await.unwrap();
        let resume = resume.map(|revision| Resume {
            revision,
            ..Resume::default()
        });
        let request = SnapshotRequest {
            resume,
            ..SnapshotRequest::default()
        };
        send.message(&request).await.unwrap();
        let reply: SnapshotReply = recv.message_within(SOON).await.unwrap();
        (reply.into_result(), send, recv)
    }
}

struct Reading {
    recv: Recv,
    _send: Send,
    frames: FrameReader,
    decoder: Decoder,
    due: i64,
}

impl Reading {
    /// Reads up to `revision`, each revision once and in order.
    async fn reads_to(&mut self, revision: i64) {
        let reading = async {
            while self.due <= revision {
                let ended = self.step().await;
                assert!(ended.is_none(), "{ended:?} at {}", self.due);
            }
        };
        let reading = timeout(SOON, reading).await;
        assert!(reading.is_ok(), "it stays at {}", self.due);
        assert_eq!(self.due, revision + 1);
    }

    /// Why it ended, having brought nothing more.
    async fn ends(&mut self) -> String {
        let due = self.due;
        let ending = async {
            loop {
                if let Some(ended) = self.step().await {
                    return ended;
                }
            }
        };
        let ended = timeout(SOON, ending).await.expect("it ends");
        assert_eq!(self.due, due, "something came before the end");
        ended
    }

    async fn step(&mut self) -> Option<String> {
        match self.recv.chunk().await {
            Ok(Some(chunk)) => self.frames.push(chunk),
            Ok(None) => return Some("ended".to_owned()),
            Err(error) => return Some(error.to_string()),
        }
        while let Some(batch) = self.frames.next().unwrap() {
            for commit in self.decoder.decode(&batch).unwrap() {
                if commit.revision.get() >= self.due {
                    assert_eq!(commit.revision.get(), self.due);
                    self.due += 1;
                }
            }
        }
        None
    }
}

#[tokio::test]
async fn the_window_is_read_from_any_revision_and_goes_on() {
    let world = World::new(None).await;
    world.fill(1, 11..=40);
    let mut all = world.subscribe(11, 1, 0).await.unwrap();
    let mut late = world.subscribe(33, 0, 0).await.unwrap();
    let mut next = world.subscribe(41, 1, 0).await.unwrap();
    for reading in [&mut all, &mut late] {
        reading.reads_to(40).await;
    }
    world.push(9, 41);
    for reading in [&mut all, &mut late, &mut next] {
        reading.reads_to(41).await;
    }
    assert_eq!(world.station.served.subscribers(), 3);
}

#[tokio::test]
async fn a_reader_is_not_led_from_one_log_into_another() {
    let world = World::new(None).await;
    world.fill(1, 11..=12);
    let mut reading = world.subscribe(11, 1, 0).await.unwrap();
    reading.reads_to(12).await;
    // Another home, of which the same revision is next.
    world.relay.position(Lineage(2), at(12));
    world.push(2, 13);
    reading.ends().await;
    assert_eq!(world.refused(13, 1, 0).await, Why::OtherLineage);
    let mut anew = world.subscribe(13, 2, 0).await.unwrap();
    anew.reads_to(13).await;
}

#[tokio::test]
async fn history_is_read_from_the_home_until_the_window_is_reached() {
    let home = LogHome::new(10);
    home.write(30);
    let world = World::new(Some(Arc::clone(&home))).await;
    world.fill(7, 31..=40);
    let mut reading = world.subscribe(15, 7, 0).await.unwrap();
    reading.reads_to(40).await;
    world.push(9, 41);
    reading.reads_to(41).await;
    home.compact(25);
    let refused = world.subscribe(15, 7, 0).await.err().unwrap();
    assert_eq!((refused.why(), refused.compacted), (Why::Compacted, 30));
}

#[tokio::test]
async fn history_is_read_from_the_replica_first() {
    let home = LogHome::new(10);
    home.compact(99);
    let world = World::new(Some(Arc::clone(&home))).await;
    world.show(&replica(WindowLimits::UNLIMITED, 11..=35));
    world.fill(7, 31..=40);
    let mut reading = world.subscribe(15, 7, 0).await.unwrap();
    reading.reads_to(40).await;
    assert_eq!(world.refused(5, 7, 0).await, Why::Compacted);
}

#[tokio::test]
async fn a_delegate_that_has_not_the_history_does_not_say_that_it_is_gone() {
    let world = World::new(None).await;
    world.fill(1, 101..=110);
    assert_eq!(world.refused(50, 1, 0).await, Why::Behind);
}

#[tokio::test]
async fn a_home_that_does_not_answer_is_not_waited_for() {
    let home = LogHome::new(10);
    home.write(30);
    home.faults([Fault::Hangs]);
    let world = World::new(Some(home)).await;
    world.fill(7, 31..=40);
    assert_eq!(world.refused(15, 7, 0).await, Why::Behind);
}

#[tokio::test]
async fn a_revision_that_no_reader_takes_counts_as_gone() {
    let home = LogHome::new(10);
    home.write(2);
    let gigantic = noise(1, crate::relay::READABLE_BYTES_MAX as usize);
    home.commit(commit_of(13, &gigantic));
    home.write(2);
    let world = World::new(Some(home)).await;
    world.fill(7, 15..=15);
    let mut reading = world.subscribe(11, 7, 0).await.unwrap();
    reading.reads_to(12).await;
    reading.ends().await;
    let refused = world.subscribe(13, 7, 0).await.err().unwrap();
    assert_eq!((refused.why(), refused.compacted), (Why::Compacted, 14));
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_for_its_reason() {
    let world = World::new(None).await;
    assert_eq!(world.refused(11, 1, 0).await, Why::Behind);
    world.fill(1, 11..=20);
    assert_eq!(world.refused(22, 1, 0).await, Why::Behind);
    assert_eq!(world.refused(11, 2, 0).await, Why::OtherLineage);
    for nonsense in [0, -1, i64::MIN] {
        assert_eq!(world.refused(nonsense, 1, 0).await, Why::Compacted);
    }
    assert_eq!(world.refused(i64::MAX, 1, 0).await, Why::Behind);
}

#[tokio::test]
async fn a_subscriber_that_is_a_step_ahead_is_waited_for() {
    let world = World::new(None).await;
    world.fill(1, 11..=20);
    let (reading, ()) = tokio::join!(world.subscribe(22, 1, 0), async {
        tokio::task::yield_now().await;
        world.push(8, 21);
    });
    world.push(9, 22);
    reading.unwrap().reads_to(22).await;
}

#[tokio::test]
async fn the_gate_is_for_those_who_hold_the_term_and_shuts_on_them() {
    let world = World::new(None).await;
    world.fill(1, 11..=20);
    world.gate.send_replace(Gate::Term(Term::new(5)));
    assert_eq!(world.refused(11, 1, 6).await, Why::NotHeld);
    let mut reading = world.subscribe(11, 1, 5).await.unwrap();
    reading.reads_to(20).await;
    world.gate.send_replace(Gate::Closed);
    reading.ends().await;
    assert_eq!(world.refused(11, 1, 5).await, Why::NotHeld);
}

#[tokio::test]
async fn a_snapshot_goes_on_at_a_relay_that_is_a_step_behind() {
    let world = World::new(None).await;
    world.fill(1, 11..=20);
    let replica = replica(WindowLimits::UNLIMITED, 11..=20);
    world.show(&replica);
    let (head, ..) = world.ask(Some(21)).await;
    assert_eq!(head.err().unwrap().why(), Why::Behind);
    let ((head, ..), ()) = tokio::join!(world.ask(Some(21)), async {
        tokio::task::yield_now().await;
        replica.apply(commit(21)).unwrap();
        world.push(9, 21);
    });
    assert_eq!(head.unwrap().revision, 21);
    replica.compact(rev(18));
    let (head, ..) = world.ask(Some(15)).await;
    assert_eq!(head.err().unwrap().why(), Why::Compacted);
}

#[tokio::test]
async fn no_snapshot_of_one_home_is_given_out_as_anothers() {
    let world = World::new(None).await;
    world.fill(1, 11..=15);
    // It is ahead of the log, so the log is waited for; meanwhile that begins anew.
    world.show(&replica(WindowLimits::UNLIMITED, 11..=20));
    let ((head, ..), ()) = tokio::join!(world.ask(None), async {
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.fill(2, 31..=40);
    });
    assert_eq!(head.err().map(|refused| refused.why()), Some(Why::Behind));
    world.station.replica.disown();
    let (head, ..) = world.ask(None).await;
    assert_eq!(head.err().unwrap().why(), Why::Behind);
}

#[tokio::test]
async fn joiners_take_turns() {
    let world = World::new(None).await;
    world.fill(1, 11..=20);
    world.show(&replica(WindowLimits::UNLIMITED, 11..=20));
    let others = world
        .station
        .snapshots
        .try_acquire_many(SNAPSHOTS_MAX as u32)
        .unwrap();
    let mut next = Box::pin(world.ask(None));
    let waited = timeout(Duration::from_millis(200), &mut next).await;
    assert!(waited.is_err(), "it waits for its turn");
    drop(others);
    let (head, ..) = next.await;
    assert_eq!(head.unwrap().revision, 20);
}
