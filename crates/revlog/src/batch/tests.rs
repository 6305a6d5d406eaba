//! Headers of batches: what they cost, and what they may not say.

use super::*;
use crate::sample::{commits, encoder, group, rev};

/// The frame of a header that is given as it is, with a payload.
fn parsed(flags: u8, numbers: [u64; 4], member: &[u8], raw_len: u64, payload: &[u8]) -> BatchError {
    let mut head = Vec::new();
    for number in numbers {
        put_varint(&mut head, number);
    }
    head.extend_from_slice(member);
    put_varint(&mut head, raw_len);
    Batch::parse(frame::seal(Kind::BATCH, flags, &head, payload)).unwrap_err()
}

const START: [u8; 8] = [7; 8];
const MAX: u64 = i64::MAX as u64;

#[test]
fn a_header_that_cannot_be_true_is_refused_whatever_its_checksum() {
    let start = FLAG_START | 2;
    let wrong = [
        (start | 0x80, [0, 5, 0, 1], 9, "unknown flags"),
        (FLAG_START | 3, [0, 5, 0, 1], 9, "unknown codec"),
        (start, [0, 0, 0, 1], 9, "not a revision"),
        (start, [0, MAX, 0, 1], 9, "not a revision"),
        (start, [0, 5, MAX, 1], 9, "not a revision"),
        (start, [0, 5, u64::MAX, 1], 9, "not a revision"),
        (start, [0, 5, 1, 1], 99, "fewer events than revisions"),
        (start, [0, 5, 0, 0], 99, "fewer events than revisions"),
        (start, [0, 5, 0, u64::MAX], 99, "too many events"),
        (
            start,
            [0, 5, 0, 2],
            12,
            "more events than the payload has bytes for",
        ),
        (
            start,
            [0, 5, 0, 1],
            u64::MAX,
            "the payload is longer than it may be",
        ),
        (
            FLAG_START,
            [0, 5, 0, 1],
            12,
            "the length of an uncoded payload is not its length",
        ),
    ];
    for (flags, numbers, raw_len, reason) in wrong {
        let error = parsed(flags, numbers, &START, raw_len, b"payload");
        assert_eq!(error, BatchError::Header { reason });
    }
    for flags in [0, 1] {
        let error = parsed(flags, [0, 5, 0, 1], &START[..4], 7, b"payload");
        let reason = "a codec without groups continues one";
        assert_eq!(error, BatchError::Header { reason });
    }
}

#[test]
fn a_batch_comes_back_as_it_was_sealed() {
    for codec in [Codec::None, Codec::Zstd, Codec::Continuous] {
        let mut encoder = encoder(codec, 40);
        for batch in [
            encoder.encode(&commits(5..=9)),
            encoder.encode(&commits(10..=10)),
        ] {
            assert_eq!(Batch::parse(batch.frame().clone()).as_ref(), Ok(&batch));
        }
    }
}

#[test]
fn a_continuing_batch_of_one_revision_costs_at_most_twenty_bytes_of_frame() {
    let batches = group(1 << 60, 1_000_000..=1_000_001, 1);
    let continuing = &batches[1];
    assert_eq!(continuing.start(), None);
    let around = continuing.frame().len() - continuing.payload().len();
    assert_eq!(around, 21 - usize::from(continuing.frame().len() < 132));
}

#[test]
fn the_accessors_tell_what_was_encoded() {
    let batches = group(77, 5..=9, 3);
    let start = &batches[0];
    assert_eq!(
        (start.first(), start.last(), start.events()),
        (rev(5), rev(7), 3)
    );
    assert_eq!(start.start(), Some(GroupId::new(77)));
    assert_eq!(
        (start.epoch(), start.codec()),
        (Epoch::ZERO, Codec::Continuous)
    );
    assert!(start.raw_len() > start.payload().len() as u64);
}
