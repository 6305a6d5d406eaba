//! Groups begin where they should, and batches are cut where they should.

use super::*;
use crate::sample::{commit, commits, config, encoder};

#[test]
fn a_group_ends_after_its_bytes_or_on_restart() {
    let config = EncoderConfig {
        group_raw_bytes: 250,
        ..config(Codec::Continuous)
    };
    let mut encoder = Encoder::new(config, GroupId::new(u64::MAX));
    let mut starts = Vec::new();
    for revision in 1..=7 {
        if revision == 7 {
            encoder.restart();
        }
        let batch = encoder.encode(&[commit(revision)]);
        starts.extend(batch.start().map(|group| (revision, group.get())));
    }
    // Some 80 bytes each: the fourth one passes the limit, ids go on from the last to zero.
    assert_eq!(starts, [(1, u64::MAX), (5, 0), (7, 1)]);
}

#[test]
fn without_a_context_each_batch_is_a_group() {
    for codec in [Codec::None, Codec::Zstd] {
        let mut encoder = encoder(codec, 4);
        for group in 4..7 {
            let batch = encoder.encode(&[commit(group)]);
            assert_eq!(batch.start(), Some(GroupId::new(group as u64)));
        }
    }
}

#[test]
fn commits_are_cut_at_the_aim_and_never_to_nothing() {
    let mut log = commits(1..=3);
    assert_eq!(batch_commits(&log), 3);
    let big = vec![0; BATCH_RAW_BYTES];
    log[1].records[0] = crate::sample::put(b"k", &big, log[1].revision);
    assert_eq!(batch_commits(&log), 1);
    assert_eq!(batch_commits(&log[1..]), 1);
    assert_eq!(batch_commits(&[]), 0);
}

#[test]
#[should_panic(expected = "the log is contiguous")]
fn a_gap_between_commits_is_a_broken_invariant() {
    encoder(Codec::None, 0).encode(&[commit(1), commit(3)]);
}

#[test]
fn buffers_blown_up_by_one_batch_are_given_back() {
    let mut encoder = encoder(Codec::Continuous, 0);
    let mut big = commit(1);
    big.records[0] = crate::sample::put(b"k", &vec![7; 3 * SCRATCH_BYTES_MAX], big.revision);
    let batch = encoder.encode(&[big]);
    assert!(batch.frame().len() < 10_000);
    assert!(encoder.raw.capacity() <= SCRATCH_BYTES_MAX);
    assert!(encoder.coded.capacity() <= SCRATCH_BYTES_MAX);
}
