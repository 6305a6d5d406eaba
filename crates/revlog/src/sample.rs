//! Commits to test with: made by hand, and drawn by proptest.

use meridian_keyspace::{Commit, LeaseId, Record, Revision, record::Fields};
use proptest::prelude::*;

use crate::{Batch, Codec, Encoder, EncoderConfig, Epoch, GroupId};

pub(crate) fn rev(number: i64) -> Revision {
    Revision::new(number)
}

/// A put of this revision.
pub(crate) fn put(key: &[u8], value: &[u8], revision: Revision) -> Record {
    Record::new(Fields {
        key,
        value,
        create_revision: rev(1),
        mod_revision: revision,
        version: 3,
        lease: LeaseId::NONE,
    })
}

/// A commit of one put.
pub(crate) fn commit(revision: i64) -> Commit {
    let revision = rev(revision);
    let value = format!("the value at {revision}, which is much like the one before it");
    Commit {
        revision,
        records: vec![put(b"/registry/pods/one", value.as_bytes(), revision)],
    }
}

pub(crate) fn commits(revisions: std::ops::RangeInclusive<i64>) -> Vec<Commit> {
    revisions.map(commit).collect()
}

pub(crate) fn config(codec: Codec) -> EncoderConfig {
    EncoderConfig {
        codec,
        ..EncoderConfig::new(Epoch::ZERO)
    }
}

pub(crate) fn encoder(codec: Codec, first_group: u64) -> Encoder {
    Encoder::new(config(codec), GroupId::new(first_group))
}

/// A group of batches that hold these revisions, `size` each.
pub(crate) fn group(id: u64, revisions: std::ops::RangeInclusive<i64>, size: usize) -> Vec<Batch> {
    let mut encoder = encoder(Codec::Continuous, id);
    let commits = commits(revisions);
    commits.chunks(size).map(|c| encoder.encode(c)).collect()
}

pub(crate) fn codecs() -> impl Strategy<Value = Codec> {
    prop_oneof![
        Just(Codec::None),
        Just(Codec::Zstd),
        Just(Codec::Continuous)
    ]
}

/// What a record of any revision holds; no value is a tombstone.
pub(crate) type Written = (Vec<u8>, Option<Vec<u8>>);

fn written() -> impl Strategy<Value = Written> {
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        ("[a-c]{0,6}", 0..200_usize).prop_map(|(part, times)| part.repeat(times).into_bytes()),
    ];
    let key = proptest::collection::vec(any::<u8>(), 1..20);
    (key, proptest::option::weighted(0.8, value))
}

/// Contiguous commits from a revision on.
pub(crate) fn any_commits(most: usize) -> impl Strategy<Value = Vec<Commit>> {
    let events = proptest::collection::vec(written(), 1..5);
    let log = proptest::collection::vec(events, 1..most);
    (1..1_i64 << 40, log).prop_map(|(first, log)| {
        let commit = |(revision, written): (i64, Vec<Written>)| Commit {
            revision: rev(revision),
            records: written.iter().map(|w| record(w, rev(revision))).collect(),
        };
        (first..).zip(log).map(commit).collect()
    })
}

pub(crate) fn record((key, value): &Written, revision: Revision) -> Record {
    match value {
        Some(value) => put(key, value, revision),
        None => Record::tombstone(key, revision),
    }
}
