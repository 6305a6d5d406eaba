//! Goal: what is on disk can be read by every later release, and bad bytes are errors. Method:
//! golden bytes of layout 1, written out by hand.

use meridian_keyspace::{Change, Event, LeaseId, Record, Revision, record::Fields};

use super::codec::{RowError, decode_base, decode_commit, encode_base, encode_commit};

/// Two records: `a` = `1` created at 2 with lease 7, and the deletion of `b`.
const COMMIT: &[u8] = &[
    14, 0, 0, 0, 0x0a, 1, b'a', 0x10, 2, 0x18, 2, 0x20, 1, 0x2a, 1, b'1', 0x30, 7, //
    5, 0, 0, 0, 0x0a, 1, b'b', 0x18, 2,
];

fn records() -> Vec<Record> {
    let put = Record::new(Fields {
        key: b"a",
        value: b"1",
        create_revision: Revision::new(2),
        mod_revision: Revision::new(2),
        version: 1,
        lease: LeaseId::new(7),
    });
    vec![put, Record::tombstone(b"b", Revision::new(2))]
}

#[test]
fn commits_of_layout_1_stay_readable() {
    let events = records()
        .into_iter()
        .map(|record| Event {
            record,
            previous: None,
        })
        .collect();
    assert_eq!(
        encode_commit(&Change {
            revision: Revision::new(2),
            events
        }),
        COMMIT
    );
    let commit = decode_commit(2, COMMIT).unwrap();
    assert_eq!(
        (commit.revision, commit.records),
        (Revision::new(2), records())
    );
}

#[test]
fn base_rows_of_layout_1_stay_readable() {
    let record = records().swap_remove(0);
    let row = [&[5, 0, 0, 0], &COMMIT[4..18]].concat();
    assert_eq!(encode_base(5, &record), row);
    assert_eq!(decode_base(&row).unwrap(), (5, record));
}

#[test]
fn every_truncation_is_an_error() {
    for end in (1..COMMIT.len()).filter(|end| *end != 18) {
        assert!(decode_commit(2, &COMMIT[..end]).is_err(), "cut at {end}");
    }
    assert_eq!(decode_base(&COMMIT[..3]), Err(RowError::Truncated));
}
