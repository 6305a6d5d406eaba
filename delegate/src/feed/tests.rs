//! Goal: commits come out contiguous from the revision asked for, wherever they come from. Method: a relay
//! filled by hand, and an upstream with a list.

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::time::timeout;

use super::*;
use crate::{
    relay::Lineage,
    testing::{
        SOON,
        log::{at, batches, commits, encoder, numbers, rev},
    },
};

/// Has what it is told, and counts who asks.
#[derive(Default)]
struct List {
    commits: Mutex<Vec<Commit>>,
    asked: AtomicUsize,
    relay: Mutex<Option<Arc<Relay>>>,
}

#[async_trait]
impl Upstream for Arc<List> {
    async fn history(&self, from: Revision) -> Result<Commits, FeedError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut commits = self.commits.lock().clone();
        commits.retain(|commit| commit.revision >= from);
        if commits.first().is_none_or(|first| first.revision != from) {
            return Err(FeedError::Compacted {
                compacted: Revision::ZERO,
            });
        }
        let steps: Vec<_> = commits.chunks(3).map(|step| Ok(step.to_vec())).collect();
        Ok(stream::iter(steps).boxed())
    }

    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError> {
        Err(FeedError::Unavailable("none here".to_owned()))
    }

    fn begin_at(&self, from: Revision) -> Result<(), FeedError> {
        if let Some(relay) = &*self.relay.lock() {
            relay.position_if_empty(Lineage(1), at(from.get() - 1));
        }
        Ok(())
    }
}

struct World {
    relay: Arc<Relay>,
    list: Arc<List>,
    feed: RelayFeed,
}

impl World {
    fn new(window_bytes: usize) -> Self {
        let (relay, list) = (Relay::new(window_bytes), Arc::<List>::default());
        let feed = RelayFeed::new(Arc::clone(&relay), Arc::new(Arc::clone(&list)));
        Self { relay, list, feed }
    }

    fn fill(&self, group_bytes: usize, revisions: std::ops::RangeInclusive<i64>) {
        self.relay.position(Lineage(1), at(revisions.start() - 1));
        for batch in batches(&mut encoder(1, group_bytes), revisions) {
            self.relay.push(batch, None).unwrap();
        }
    }

    fn push(&self, group: u64, revisions: std::ops::RangeInclusive<i64>) {
        for batch in batches(&mut encoder(group << 8, 1), revisions) {
            self.relay.push(batch, None).unwrap();
        }
    }
}

async fn take(reader: &mut Commits, to: i64) -> Vec<i64> {
    let mut got = Vec::new();
    while got.last().is_none_or(|last| *last < to) {
        let commits = timeout(SOON, reader.next())
            .await
            .expect("it comes")
            .unwrap();
        got.extend(numbers(&commits.unwrap()));
    }
    got
}

async fn fails(reader: &mut Commits) -> FeedError {
    let next = timeout(SOON, reader.next()).await.expect("it ends");
    next.unwrap().unwrap_err()
}

fn all(range: std::ops::RangeInclusive<i64>) -> Vec<i64> {
    range.collect()
}

#[tokio::test]
async fn the_window_is_read_from_the_middle_of_a_group() {
    let world = World::new(64 << 20);
    world.fill(4 << 20, 11..=60);
    let mut reader = world.feed.follow(rev(37)).await.unwrap();
    assert_eq!(take(&mut reader, 60).await, all(37..=60));
    world.push(2, 61..=65);
    assert_eq!(take(&mut reader, 65).await, all(61..=65));
}

#[tokio::test]
async fn what_is_at_hand_is_not_decoded_and_what_is_not_is() {
    let world = World::new(64 << 20);
    world.relay.position(Lineage(1), at(10));
    let mut encoder = encoder(1, 4 << 20);
    for (n, commit) in commits(11..=40).into_iter().enumerate() {
        let batch = encoder.encode(std::slice::from_ref(&commit));
        // At hand in the middle only, so that the reader comes to what it cannot decode.
        let hot = (10..20).contains(&n).then(|| Arc::from([commit]));
        world.relay.push(batch, hot).unwrap();
    }
    let mut reader = world.feed.follow(rev(11)).await.unwrap();
    assert_eq!(take(&mut reader, 40).await, all(11..=40));
}

#[tokio::test]
async fn history_comes_from_upstream_and_the_window_goes_on() {
    let world = World::new(64 << 20);
    *world.list.commits.lock() = commits(5..=55);
    world.fill(4 << 20, 31..=60);
    let mut reader = world.feed.follow(rev(8)).await.unwrap();
    assert_eq!(take(&mut reader, 60).await, all(8..=60));
    assert_eq!(world.list.asked.load(Ordering::SeqCst), 1);
    let mut reader = world.feed.follow(rev(2)).await.unwrap();
    assert!(matches!(
        fails(&mut reader).await,
        FeedError::Compacted { .. }
    ));
}

#[tokio::test]
async fn a_reader_that_the_window_has_left_behind_reads_history() {
    let world = World::new(2 << 10);
    *world.list.commits.lock() = commits(11..=300);
    world.fill(1, 11..=14);
    let mut reader = world.feed.follow(rev(11)).await.unwrap();
    assert_eq!(take(&mut reader, 14).await, all(11..=14));
    world.push(2, 15..=300);
    assert_eq!(take(&mut reader, 300).await, all(15..=300));
    assert_eq!(world.list.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_empty_window_begins_where_its_reader_is() {
    let world = World::new(64 << 20);
    *world.list.relay.lock() = Some(Arc::clone(&world.relay));
    let mut reader = world.feed.follow(rev(51)).await.unwrap();
    let (got, ()) = tokio::join!(take(&mut reader, 53), async {
        while world.relay.at().is_none() {
            tokio::task::yield_now().await;
        }
        world.push(1, 51..=53);
    });
    assert_eq!(got, all(51..=53));
}

#[tokio::test]
async fn a_window_that_begins_anew_is_read_on_if_it_is_of_the_same_home() {
    let world = World::new(64 << 20);
    *world.list.commits.lock() = commits(11..=30);
    world.fill(1, 11..=20);
    let mut reader = world.feed.follow(rev(11)).await.unwrap();
    assert_eq!(take(&mut reader, 20).await, all(11..=20));
    world.relay.reset();
    world.fill(1, 28..=40);
    assert_eq!(take(&mut reader, 40).await, all(21..=40));
}

#[tokio::test]
async fn a_window_of_another_home_is_not_what_follows() {
    let world = World::new(64 << 20);
    world.fill(1, 11..=20);
    let mut reader = world.feed.follow(rev(11)).await.unwrap();
    assert_eq!(take(&mut reader, 20).await, all(11..=20));
    world.relay.position(Lineage(2), at(20));
    world.push(2, 21..=22);
    assert!(matches!(
        fails(&mut reader).await,
        FeedError::Compacted { .. }
    ));
    assert!(reader.next().await.is_none());
}
