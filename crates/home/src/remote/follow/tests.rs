//! Grouping a watch's events by revision.

use meridian_keyspace::{Record, record::Fields};

use super::*;

fn record(key: &str, revision: i64) -> Record {
    let fields = Fields {
        key: key.as_bytes(),
        create_revision: Revision::new(revision),
        mod_revision: Revision::new(revision),
        version: 1,
        ..Fields::default()
    };
    Record::new(fields)
}

/// What comes out of `batches` after a follow from revision 5, as `revision:records`.
fn follow(batches: &[&[(&str, i64)]]) -> Result<Vec<String>, FollowError> {
    let mut position = Position {
        due: Revision::new(5),
        gaps: Gaps::Forbidden,
    };
    let mut out = Vec::new();
    for events in batches {
        let event = |(key, revision): &(&str, i64)| Event {
            record: record(key, *revision),
            previous: None,
        };
        for group in position.groups(events.iter().map(event).collect())? {
            out.push(format!("{}:{}", group.revision, group.events.len()));
        }
    }
    Ok(out)
}

#[test]
fn events_of_one_revision_are_one_commit() {
    let out = follow(&[&[("a", 5), ("b", 5), ("c", 6)], &[], &[("a", 7)]]).unwrap();
    assert_eq!(out, ["5:2", "6:1", "7:1"]);
}

#[test]
fn revisions_that_came_before_are_dropped_whole() {
    let out = follow(&[&[("a", 3), ("b", 3), ("a", 5)], &[("a", 5), ("b", 6)]]).unwrap();
    assert_eq!(out, ["5:1", "6:1"]);
}

#[test]
fn a_skipped_revision_ends_the_stream() {
    let error = follow(&[&[("a", 5), ("b", 7)]]).unwrap_err();
    assert!(error.to_string().contains("skipped from 6 to 7"), "{error}");
}
