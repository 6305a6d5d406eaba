//! The process's own replica, as joiners are served from it: a snapshot in chunks, and what happened
//! before the window begins.
//!
//! Invariant: a snapshot is of one revision, each key once; history is whole revisions without a
//! gap, or nothing. No lock is held for longer than a bounded chunk. It does not know who keeps the
//! replica up to date.

use std::sync::{Arc, OnceLock, Weak};

use meridian_keyspace::{
    Commit, KeySpan, RangeQuery, ReadError, Record, Revision, SharedKeyspace, SpanEnd,
    shared::{Scan, Step},
};
use parking_lot::Mutex;

/// Changes copied under one hold of the read lock: about 50 microseconds.
const HISTORY_CHANGES: usize = 256;

/// Bytes of records copied under one hold. Records are shared, so this bounds a batch, not memory.
const HISTORY_BYTES: usize = 1 << 20;

/// Who keeps a replica.
pub trait ReplicaSource: Send + Sync + 'static {
    /// The replica, none while it is not complete.
    fn replica(&self) -> Option<Arc<SharedKeyspace>>;
}

/// Where the replica will be found, once whoever keeps it has been started.
#[derive(Default)]
pub(crate) struct ReplicaSlot {
    source: OnceLock<Arc<dyn ReplicaSource>>,
    /// A replica that is of another home than the log here.
    disowned: Mutex<Weak<SharedKeyspace>>,
}

impl ReplicaSlot {
    /// Names who keeps it; the first one counts.
    pub(crate) fn fill(&self, source: Arc<dyn ReplicaSource>) {
        // A process has one replica, so a second call names the same.
        let _ = self.source.set(source);
    }

    /// The replica, none while it is not complete or not of this home.
    pub(crate) fn replica(&self) -> Option<Arc<SharedKeyspace>> {
        let replica = self.source.get()?.replica()?;
        let is_disowned = std::ptr::eq(self.disowned.lock().as_ptr(), Arc::as_ptr(&replica));
        (!is_disowned).then_some(replica)
    }

    /// The replica as it is now is of another home than the log from now on: who keeps it may not know
    /// yet, and shows it until the next is complete.
    pub(crate) fn disown(&self) {
        if let Some(replica) = self.source.get().and_then(|source| source.replica()) {
            *self.disowned.lock() = Arc::downgrade(&replica);
        }
    }
}

/// The next commits from `from` on, from the replica's history: none if it does not reach back to
/// `from` whole, an empty list if there is nothing after `from` yet.
pub(crate) fn history(keyspace: &SharedKeyspace, from: Revision) -> Option<Vec<Commit>> {
    keyspace.read(|keyspace| {
        // Of a compacted revision only the last event of each key is left.
        if from < keyspace.first_change() || from <= keyspace.compacted() {
            return None;
        }
        let mut bytes = 0;
        let changes = keyspace
            .changes(from)
            .take(HISTORY_CHANGES)
            .take_while(|change| {
                let fits = bytes < HISTORY_BYTES;
                bytes += change.bytes();
                fits
            });
        let commit = |change: &Arc<meridian_keyspace::Change>| Commit {
            revision: change.revision,
            records: change
                .events
                .iter()
                .map(|event| event.record.clone())
                .collect(),
        };
        Some(changes.map(commit).collect())
    })
}

/// How many keys there are at a revision, and which; that stays readable while this lives.
pub(crate) struct Counted {
    pub(crate) revision: Revision,
    pub(crate) keys: u64,
    _pin: Scan<'static>,
}

/// Counts the keys at the current revision, or at `revision`.
pub(crate) async fn count(
    keyspace: &Arc<SharedKeyspace>,
    revision: Option<Revision>,
) -> Result<Counted, ReadError> {
    let mut scan = keyspace.scan(RangeQuery {
        revision,
        count_only: true,
        ..RangeQuery::of(KeySpan::ALL)
    })?;
    let answer = loop {
        match scan.step(&mut |_| {}) {
            Step::Done(answer) => break answer,
            Step::More => tokio::task::yield_now().await,
        }
    };
    Ok(Counted {
        revision: scan.revision(),
        keys: answer.count as u64,
        _pin: scan,
    })
}

/// The live records at `revision` behind `after`, all of them for none, in key order, chunk by
/// chunk of about `chunk_bytes`.
pub(crate) struct Chunks<'k> {
    scan: Scan<'k>,
    chunk_bytes: usize,
    ended: bool,
}

impl<'k> Chunks<'k> {
    /// Begins to read; `first` is where, see [`first_key`].
    pub(crate) fn begin(
        keyspace: &Arc<SharedKeyspace>,
        revision: Revision,
        first: &'k [u8],
        chunk_bytes: usize,
    ) -> Result<Self, ReadError> {
        let span = KeySpan {
            start: first,
            end: SpanEnd::Unbounded,
        };
        let scan = keyspace.scan(RangeQuery {
            revision: Some(revision),
            ..RangeQuery::of(span)
        })?;
        Ok(Self {
            scan,
            chunk_bytes,
            ended: false,
        })
    }

    /// The next chunk; none after the last.
    pub(crate) async fn next(&mut self) -> Option<Vec<Record>> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while !self.ended && bytes < self.chunk_bytes {
            let step = self.scan.step(&mut |record| {
                bytes += record.encoded().len();
                records.push(record.clone());
            });
            self.ended = matches!(step, Step::Done(_));
            tokio::task::yield_now().await;
        }
        (!records.is_empty()).then_some(records)
    }
}

/// The first key that can come after `after`; for an empty one, the first of all.
pub(crate) fn first_key(after: &[u8]) -> Vec<u8> {
    match after {
        [] => Vec::new(),
        after => [after, &[0]].concat(),
    }
}

#[cfg(test)]
mod tests;
