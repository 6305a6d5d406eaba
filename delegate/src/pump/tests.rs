//! Goal: whatever the home's log does, what enters the relay is contiguous, and the pump goes on.
//! Method: a scripted home; levels are waited for.

use std::sync::atomic::Ordering;

use meridian_revlog::{Batch, Decoder};
use meridian_runtime::TaskGroup;

use super::*;
use crate::{
    relay::Filling,
    testing::{
        SOON,
        home::{Fault, LogHome},
        log::{commit_of, numbers, rev},
        noise,
    },
};

struct World {
    home: Arc<LogHome>,
    relay: Arc<Relay>,
    replaced: Arc<Notify>,
    _tasks: TaskGroup,
}

impl World {
    /// A pump over a home at revision 10 whose log opens with these faults.
    fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let (home, relay) = (LogHome::new(10), Relay::new(64 << 20));
        home.faults(faults);
        let (replaced, tasks) = (Arc::new(Notify::new()), TaskGroup::root("test"));
        let config = EncoderConfig::new(Epoch::ZERO);
        let as_home = Arc::clone(&home) as Arc<dyn Home>;
        let pump = Pump::new(as_home, Arc::clone(&relay), config, Arc::clone(&replaced));
        tasks.spawn_permanent("pump", pump.run());
        Self {
            home,
            relay,
            replaced,
            _tasks: tasks,
        }
    }

    async fn reaches(&self, revision: i64) {
        let mut changes = self.relay.changes();
        let reached = async {
            while self.relay.at().is_none_or(|at| at.revision < rev(revision)) {
                changes.changed().await.unwrap();
            }
        };
        let reached = timeout(SOON, reached).await;
        assert!(reached.is_ok(), "{revision}: {:?}", self.relay.at());
    }

    /// What the relay holds from `from` on, decoded.
    fn held(&self, from: i64) -> Vec<i64> {
        let mut place = self.relay.seek(rev(from), None).unwrap();
        let (mut batches, mut decoder) = (Vec::<Batch>::new(), Decoder::new());
        self.relay
            .read(&mut place, usize::MAX, &mut batches)
            .unwrap();
        let decoded = batches.iter().map(|batch| decoder.decode(batch).unwrap());
        decoded.flat_map(|commits| numbers(&commits)).collect()
    }

    async fn holds_all_of(&self, to: i64) {
        self.reaches(to).await;
        assert_eq!(self.held(11), (11..=to).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn what_waits_goes_into_one_batch_and_what_comes_later_into_the_next() {
    let world = World::new([]);
    world.reaches(10).await;
    world.home.write(1);
    world.holds_all_of(11).await;
    world.home.write(500);
    world.holds_all_of(511).await;
    assert_eq!(world.home.opened.load(Ordering::SeqCst), 1);
    let hot = world.relay.hot(world.relay.filling(), rev(12)).unwrap();
    assert_eq!(hot[0].revision, rev(12));
    assert_eq!(world.relay.lineage(), Lineage(7));
}

#[tokio::test]
async fn a_gap_is_mended_by_reading_again_from_what_is_due() {
    let world = World::new([Fault::Gap(13)]);
    world.reaches(10).await;
    world.home.write(5);
    world.holds_all_of(15).await;
}

#[tokio::test]
async fn repetitions_are_dropped() {
    let world = World::new([Fault::Repeats]);
    world.reaches(10).await;
    for to in [11, 13, 19] {
        world
            .home
            .write(to - world.relay.at().unwrap().revision.get());
        world.holds_all_of(to).await;
    }
    assert_eq!(world.home.opened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_log_that_breaks_or_ends_goes_on() {
    let world = World::new([Fault::Breaks(12), Fault::Ends(14), Fault::Ends(16)]);
    world.reaches(10).await;
    for _ in 0..10 {
        world.home.write(1);
        tokio::task::yield_now().await;
    }
    world.holds_all_of(20).await;
    assert_eq!(world.home.opened.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_log_that_is_silent_while_the_home_is_ahead_is_opened_anew() {
    let world = World::new([Fault::Silent]);
    world.reaches(10).await;
    world.home.write(3);
    world.holds_all_of(13).await;
    assert_eq!(world.home.opened.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn history_that_is_compacted_away_makes_the_log_begin_anew() {
    let world = World::new([Fault::Breaks(12)]);
    world.reaches(10).await;
    let before = world.relay.filling();
    world.home.write(10);
    world.home.compact(20);
    world.reaches(20).await;
    assert!(world.relay.seek(rev(13), None).is_err());
    world.home.write(1);
    world.reaches(21).await;
    assert_eq!(world.held(21), [21]);
    assert_ne!(world.relay.filling(), before);
    assert_eq!(world.relay.lineage(), Lineage(7));
}

#[tokio::test]
async fn another_home_is_another_log() {
    let world = World::new([]);
    world.reaches(10).await;
    world.home.write(4);
    world.holds_all_of(14).await;
    let before: Filling = world.relay.filling();
    world.home.replace(5);
    world.replaced.notify_one();
    let mut changes = world.relay.changes();
    let begun = async {
        while world.relay.lineage() != Lineage(8) || world.relay.at().is_none() {
            changes.changed().await.unwrap();
        }
    };
    timeout(SOON, begun).await.unwrap();
    world.home.write(2);
    world.reaches(7).await;
    assert_eq!(world.held(6), [6, 7]);
    assert_ne!(world.relay.filling(), before);
}

#[tokio::test]
async fn a_revision_that_no_reader_takes_is_left_to_snapshots() {
    let world = World::new([]);
    world.reaches(10).await;
    world.home.write(1);
    world.holds_all_of(11).await;
    let gigantic = noise(1, READABLE_BYTES_MAX as usize);
    world.home.commit(commit_of(12, &gigantic));
    world.home.write(1);
    world.reaches(13).await;
    let before = world.relay.seek(rev(12), None).err();
    assert!(
        matches!(before, Some(meridian_revlog::SeekError::Before { .. })),
        "{before:?}"
    );
    world.home.write(1);
    world.reaches(14).await;
}
