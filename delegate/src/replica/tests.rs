//! Goal: history is whole revisions without a gap, or nothing; a snapshot is of one revision, also if it
//! is taken in parts. Method: replicas made by hand, written to between the parts.

use meridian_keyspace::WindowLimits;

use super::*;
use crate::testing::log::{Shown, commit, numbers, replica, rev};

const UNLIMITED: WindowLimits = WindowLimits::UNLIMITED;

#[test]
fn history_is_contiguous_from_what_is_asked_for() {
    let replica = replica(UNLIMITED, 11..=700);
    let (mut due, mut got) = (rev(300), Vec::new());
    loop {
        let commits = history(&replica, due).unwrap();
        assert!(commits.len() <= HISTORY_CHANGES);
        let Some(last) = commits.last() else { break };
        due = last.revision.next();
        got.extend(numbers(&commits));
    }
    assert_eq!(got, (300..=700).collect::<Vec<_>>());
    assert_eq!(history(&replica, rev(701)), Some(vec![]));
    assert_eq!(
        history(&replica, rev(11)).map(|c| c[0].revision),
        Some(rev(11))
    );
    assert_eq!(history(&replica, rev(10)), None);
}

#[test]
fn history_that_was_compacted_or_forgotten_is_none() {
    let compacted = replica(UNLIMITED, 11..=50);
    compacted.compact(rev(30));
    assert_eq!(history(&compacted, rev(30)), None);
    assert_eq!(
        history(&compacted, rev(31)).map(|c| c[0].revision),
        Some(rev(31))
    );
    let limits = WindowLimits {
        revisions: 5,
        ..UNLIMITED
    };
    let forgetful = replica(limits, 11..=50);
    assert_eq!(history(&forgetful, rev(40)), None);
    assert_eq!(history(&forgetful, rev(50)).map(|c| c.len()), Some(1));
}

#[tokio::test]
async fn a_snapshot_in_parts_is_of_one_revision() {
    let replica = replica(UNLIMITED, 11..=200);
    let counted = count(&replica, None).await.unwrap();
    assert_eq!((counted.revision, counted.keys), (rev(200), 190));
    let (mut after, mut got) = (Vec::new(), Vec::new());
    for n in 201.. {
        let first = first_key(&after);
        let mut chunks = Chunks::begin(&replica, counted.revision, &first, 400).unwrap();
        let Some(records) = chunks.next().await else {
            break;
        };
        after = records.last().unwrap().key().to_vec();
        got.extend(records);
        // Each part is asked for anew; the keyspace goes on, and forgets what it may.
        replica.apply(commit(n)).unwrap();
    }
    assert_eq!(got.len() as u64, counted.keys);
    assert!(got.is_sorted_by(|a, b| a.key() < b.key()));
    assert!(got.iter().all(|record| record.mod_revision() <= rev(200)));
}

#[tokio::test]
async fn a_revision_that_cannot_be_read_is_not_counted() {
    let replica = replica(UNLIMITED, 11..=20);
    let future = count(&replica, Some(rev(21))).await.err();
    assert_eq!(future, Some(ReadError::Future { current: rev(20) }));
    replica.compact(rev(15));
    let compacted = count(&replica, Some(rev(14))).await.err();
    assert!(matches!(compacted, Some(ReadError::Compacted { .. })));
}

#[test]
fn a_replica_of_another_home_is_shown_no_more_and_the_next_one_is() {
    let slot = ReplicaSlot::default();
    slot.disown();
    assert!(slot.replica().is_none());
    let shown = Shown::new(&replica(UNLIMITED, 11..=20));
    slot.fill(Arc::clone(&shown) as Arc<dyn ReplicaSource>);
    assert!(slot.replica().is_some());
    slot.disown();
    assert!(slot.replica().is_none());
    *shown.0.lock() = Some(replica(UNLIMITED, 31..=40));
    assert_eq!(slot.replica().unwrap().revision(), rev(40));
}
