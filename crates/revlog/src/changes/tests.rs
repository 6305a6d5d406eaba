//! Lists of changes come back; what cannot be is refused.

use proptest::prelude::*;

use super::*;
use crate::sample::{any_commits, put, rev};

fn body(numbers: &[u64]) -> Result<(Vec<Change>, Revision), ChangesError> {
    let mut body = Vec::new();
    for number in numbers {
        put_varint(&mut body, *number);
    }
    decode_changes(&frame::seal(Kind::CHANGES, 0, &body, &[]))
}

#[test]
fn an_empty_list_says_up_to_where() {
    let frame = encode_changes(&[], rev(7));
    assert_eq!(decode_changes(&frame), Ok((Vec::new(), rev(7))));
    assert_eq!(
        decode_changes(&encode_changes(&[], rev(0))),
        Ok((Vec::new(), rev(0)))
    );
}

#[test]
fn hostile_counts_and_revisions_are_refused() {
    let hostile: [&[u64]; 5] = [
        &[],
        &[u64::MAX, 0],
        &[7, u64::MAX],
        &[7, 1, 8, 1, 0, 0, 0, 0, 0, 0, 0],
        &[7, 1, 2, u64::MAX, 0, 0, 0, 0, 0, 0],
    ];
    for numbers in hostile {
        let error = body(numbers).unwrap_err();
        assert!(matches!(error, ChangesError::Payload(_)), "{error}");
    }
}

#[test]
#[should_panic(expected = "revisions of changes rise")]
fn changes_out_of_order_are_a_broken_invariant() {
    let change = |revision| Change {
        revision,
        events: Box::new([Event {
            record: put(b"k", b"v", revision),
            previous: None,
        }]),
    };
    encode_changes(&[change(rev(3)), change(rev(3))], rev(9));
}

proptest! {
    #[test]
    fn changes_come_back(log in any_commits(20), steps in 1..50_i64, with: u64) {
        let first = log[0].revision.get();
        let change = |(index, commit): (usize, &meridian_keyspace::Commit)| {
            // Only some of the revisions, as a range sees them.
            let revision = rev(first + index as i64 * steps);
            let event = |record: &Record| Event {
                record: put(record.key(), b"now", revision),
                previous: (with >> (index % 64) & 1 == 1).then(|| record.clone()),
            };
            Change { revision, events: commit.records.iter().map(event).collect() }
        };
        let changes: Vec<Change> = log.iter().enumerate().map(change).collect();
        let complete_to = changes[changes.len() - 1].revision.next();
        let frame = encode_changes(&changes, complete_to);
        prop_assert_eq!(decode_changes(&frame), Ok((changes, complete_to)));
    }
}
