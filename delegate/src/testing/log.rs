//! Commits and batches to test with.

use std::{ops::RangeInclusive, sync::Arc};

use meridian_keyspace::{
    Commit, Keyspace, Record, Revision, SharedKeyspace, WindowLimits, record::Fields,
};
use meridian_revlog::{Batch, Encoder, EncoderConfig, Epoch, GroupId, Position};

use crate::replica::ReplicaSource;

pub(crate) fn rev(number: i64) -> Revision {
    Revision::new(number)
}

pub(crate) fn at(revision: i64) -> Position {
    Position {
        epoch: Epoch::ZERO,
        revision: rev(revision),
    }
}

/// A commit of one key of its own.
pub(crate) fn commit(revision: i64) -> Commit {
    commit_of(revision, b"a value of some length, much like others")
}

pub(crate) fn commit_of(revision: i64, value: &[u8]) -> Commit {
    let key = format!("key/{revision:06}");
    let record = Record::new(Fields {
        key: key.as_bytes(),
        value,
        create_revision: rev(revision),
        mod_revision: rev(revision),
        version: 1,
        ..Fields::default()
    });
    Commit {
        revision: rev(revision),
        records: vec![record],
    }
}

pub(crate) fn commits(revisions: RangeInclusive<i64>) -> Vec<Commit> {
    revisions.map(commit).collect()
}

pub(crate) fn numbers(commits: &[Commit]) -> Vec<i64> {
    commits.iter().map(|commit| commit.revision.get()).collect()
}

/// An encoder with groups of so many bytes.
pub(crate) fn encoder(first_group: u64, group_raw_bytes: usize) -> Encoder {
    let config = EncoderConfig {
        group_raw_bytes,
        ..EncoderConfig::new(Epoch::ZERO)
    };
    Encoder::new(config, GroupId::new(first_group))
}

/// A batch per commit.
pub(crate) fn batches(encoder: &mut Encoder, revisions: RangeInclusive<i64>) -> Vec<Batch> {
    let commits = commits(revisions);
    commits
        .chunks(1)
        .map(|commit| encoder.encode(commit))
        .collect()
}

/// A replica that has applied these revisions after an empty keyspace at the one before.
pub(crate) fn replica(limits: WindowLimits, revisions: RangeInclusive<i64>) -> Arc<SharedKeyspace> {
    let base = rev(*revisions.start()).previous();
    let keyspace = SharedKeyspace::new(Keyspace::restore(limits, base, []));
    for commit in commits(revisions) {
        keyspace.apply(commit).unwrap();
    }
    Arc::new(keyspace)
}

/// Shows what it is given.
#[derive(Default)]
pub(crate) struct Shown(pub(crate) parking_lot::Mutex<Option<Arc<SharedKeyspace>>>);

impl Shown {
    pub(crate) fn new(replica: &Arc<SharedKeyspace>) -> Arc<Self> {
        Arc::new(Self(parking_lot::Mutex::new(Some(Arc::clone(replica)))))
    }
}

impl ReplicaSource for Shown {
    fn replica(&self) -> Option<Arc<SharedKeyspace>> {
        self.0.lock().clone()
    }
}
