//! Goal: a reader of the relay is never shown another log's revisions as the next ones of its own, and
//! is woken by each change. Method: a relay filled by hand.

use std::sync::Arc;

use super::*;
use crate::testing::log::{at, batches, commit_of, commits, encoder, numbers, rev};

const LARGE: usize = 64 << 20;

fn filled(revisions: std::ops::RangeInclusive<i64>) -> Arc<Relay> {
    let relay = Relay::new(LARGE);
    relay.position(Lineage(1), at(revisions.start() - 1));
    for batch in batches(&mut encoder(1, 4 << 20), revisions) {
        relay.push(batch, None).unwrap();
    }
    relay
}

fn read(relay: &Relay, place: &mut Place) -> Result<Vec<i64>, Gone> {
    let mut batches = Vec::new();
    relay.read(place, LARGE, &mut batches)?;
    Ok(batches.iter().map(|batch| batch.first().get()).collect())
}

#[test]
fn a_reader_goes_on_where_it_stands() {
    let relay = filled(11..=15);
    let mut place = relay.seek(rev(11), None).unwrap();
    assert_eq!(read(&relay, &mut place), Ok(vec![11, 12, 13, 14, 15]));
    assert_eq!(read(&relay, &mut place), Ok(vec![]));
    let mut more = encoder(2, 4 << 20);
    for batch in batches(&mut more, 16..=17) {
        assert_eq!(relay.push(batch, None), Ok(Pushed::Next));
    }
    assert_eq!(read(&relay, &mut place), Ok(vec![16, 17]));
    assert_eq!(relay.at(), Some(at(17)));
}

#[test]
fn a_window_that_moved_on_is_told_from_one_that_was_filled_anew() {
    let relay = Relay::new(1 << 10);
    relay.position(Lineage(1), at(10));
    let mut encoder = encoder(1, 1);
    for batch in batches(&mut encoder, 11..=12) {
        relay.push(batch, None).unwrap();
    }
    let mut place = relay.seek(rev(11), None).unwrap();
    for batch in batches(&mut encoder, 13..=60) {
        relay.push(batch, None).unwrap();
    }
    assert_eq!(read(&relay, &mut place), Err(Gone::Evicted));
    let mut place = relay.seek(rev(60), None).unwrap();
    relay.position(Lineage(2), at(59));
    assert_eq!(read(&relay, &mut place), Err(Gone::Refilled));
    assert_ne!(place.filling(), relay.filling());
    relay.reset();
    assert_eq!(
        relay.seek(rev(60), None).err(),
        Some(SeekError::Unpositioned)
    );
}

#[test]
fn commits_at_hand_are_those_of_the_filling_that_is_read() {
    let relay = Relay::new(LARGE);
    let fill = |lineage, value: &[u8]| {
        relay.position(Lineage(lineage), at(10));
        let commits = vec![commit_of(11, value)];
        let batch = encoder(lineage, 4 << 20).encode(&commits);
        relay.push(batch, Some(commits.into())).unwrap();
        relay.filling()
    };
    let first = fill(1, b"of one home");
    assert_eq!(
        relay.hot(first, rev(11)).unwrap()[0].records[0]
            .fields()
            .value,
        b"of one home"
    );
    let second = fill(2, b"of another");
    assert_eq!(relay.hot(first, rev(11)), None);
    assert_eq!(
        relay.hot(second, rev(11)).unwrap()[0].records[0]
            .fields()
            .value,
        b"of another"
    );
    assert_eq!(relay.hot(second, rev(12)), None);
}

#[test]
fn the_oldest_commits_at_hand_are_dropped_by_their_bytes() {
    let mut hot = Hot::default();
    for first in (1..=40).step_by(2) {
        hot.push(commits(first..=first + 1).into(), 1 << 20);
    }
    let held: Vec<i64> = (1..=40)
        .filter_map(|first| hot.get(rev(first)))
        .map(|commits| numbers(&commits)[0])
        .collect();
    assert_eq!(held, (9..=39).step_by(2).collect::<Vec<_>>());
    hot.push(Arc::new([]), 5);
    hot.clear();
    assert_eq!(hot.get(rev(39)), None);
}

#[tokio::test]
async fn every_change_wakes_who_waits() {
    let relay = Relay::new(LARGE);
    let mut changes = relay.changes();
    let mut woken = |what: &str| {
        assert!(changes.has_changed().unwrap(), "{what}");
        changes.mark_unchanged();
    };
    relay.position(Lineage(1), at(10));
    woken("positioned");
    relay
        .push(batches(&mut encoder(1, 1), 11..=11).remove(0), None)
        .unwrap();
    woken("pushed");
    relay.reset();
    woken("emptied");
    assert!(relay.position_if_empty(Lineage(1), at(20)));
    woken("positioned anew");
    assert!(!relay.position_if_empty(Lineage(1), at(30)));
    assert_eq!(relay.at(), Some(at(20)));
}

#[test]
fn a_home_is_named_only_while_nothing_is_held_of_one() {
    let relay = Relay::new(LARGE);
    relay.name_lineage(Lineage(3));
    assert_eq!(relay.lineage(), Lineage(3));
    relay.position(Lineage(4), at(1));
    relay.name_lineage(Lineage(5));
    assert_eq!(relay.lineage(), Lineage(4));
    assert!(Lineage(0).agrees(Lineage(4)) && Lineage(4).agrees(Lineage(0)));
    assert!(!Lineage(3).agrees(Lineage(4)));
}
