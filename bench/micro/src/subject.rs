//! What is measured, behind one face: the keyspace, and maps from key to latest record.
//!
//! The maps keep one version and no history; the keyspace does all of its work. So where a map is
//! slower, multi-version reads on top of it would be slower still. All stand behind what a server
//! with many readers needs: a lock, or being concurrent.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
};

use crossbeam_skiplist::SkipMap;
use meridian_keyspace::{
    Commit, KeySpan, Keyspace, RangeQuery, Record, Revision, SharedKeyspace, SpanEnd, WindowLimits,
    shared::Step,
};
use parking_lot::RwLock;

/// History that the keyspace keeps while it is measured.
const HISTORY_REVISIONS: usize = 10_000;

type Key = Arc<[u8]>;

/// A structure under measurement.
pub trait Subject {
    /// From records in key order.
    fn load(records: Vec<Record>, revision: Revision) -> Self
    where
        Self: Sized;
    /// Copies the record of a key out.
    fn get(&self, key: &[u8], out: &mut Vec<u8>);
    /// Writes a record as the next revision.
    fn put(&mut self, record: Record, revision: Revision);
    /// Copies at most `limit` records from `start` on out.
    fn range(&self, start: &[u8], limit: usize, out: &mut Vec<u8>);
    /// Counts the keys from `start` to before `end`.
    fn count(&self, start: &[u8], end: &[u8]) -> usize;
}

fn copy(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(record.encoded());
}

fn bounds<'a>(start: &'a [u8], end: &'a [u8]) -> (Bound<&'a [u8]>, Bound<&'a [u8]>) {
    (Bound::Included(start), Bound::Excluded(end))
}

fn from(start: &[u8]) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (Bound::Included(start), Bound::Unbounded)
}

/// Ours.
pub struct Leaves(Arc<SharedKeyspace>);

impl Subject for Leaves {
    fn load(records: Vec<Record>, revision: Revision) -> Self {
        let limits = WindowLimits {
            revisions: HISTORY_REVISIONS,
            ..WindowLimits::UNLIMITED
        };
        Self(Arc::new(SharedKeyspace::new(Keyspace::restore(
            limits, revision, records,
        ))))
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        self.0.get_into(key, |record| {
            record.into_iter().for_each(|record| copy(record, out))
        });
    }

    fn put(&mut self, record: Record, revision: Revision) {
        self.0
            .apply(Commit {
                revision,
                records: vec![record],
            })
            .expect("revisions are given in order");
    }

    fn range(&self, start: &[u8], limit: usize, out: &mut Vec<u8>) {
        let span = KeySpan {
            start,
            end: SpanEnd::Unbounded,
        };
        let mut scan = self
            .0
            .scan(RangeQuery {
                limit,
                ..RangeQuery::of(span)
            })
            .expect("the current revision is readable");
        while scan.step(&mut |record| copy(record, out)) == Step::More {}
    }

    fn count(&self, start: &[u8], end: &[u8]) -> usize {
        let span = KeySpan {
            start,
            end: SpanEnd::Before(end),
        };
        let query = RangeQuery {
            count_only: true,
            ..RangeQuery::of(span)
        };
        let mut scan = self
            .0
            .scan(query)
            .expect("the current revision is readable");
        loop {
            if let Step::Done(answer) = scan.step(&mut |_| {}) {
                return answer.count as usize;
            }
        }
    }
}

/// The standard library's B-tree.
pub struct Tree(RwLock<BTreeMap<Key, Record>>);

impl Subject for Tree {
    fn load(records: Vec<Record>, _revision: Revision) -> Self {
        Self(RwLock::new(
            records
                .into_iter()
                .map(|record| (record.key().into(), record))
                .collect(),
        ))
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        self.0
            .read()
            .get(key)
            .into_iter()
            .for_each(|record| copy(record, out));
    }

    fn put(&mut self, record: Record, _revision: Revision) {
        let mut map = self.0.write();
        match map.get_mut(record.key()) {
            Some(slot) => *slot = record,
            None => drop(map.insert(record.key().into(), record)),
        }
    }

    fn range(&self, start: &[u8], limit: usize, out: &mut Vec<u8>) {
        self.0
            .read()
            .range::<[u8], _>(from(start))
            .take(limit)
            .for_each(|(_, record)| copy(record, out));
    }

    fn count(&self, start: &[u8], end: &[u8]) -> usize {
        self.0.read().range::<[u8], _>(bounds(start, end)).count()
    }
}

/// The standard library's B-tree for ranges, and a hash map for point reads.
pub struct HashAndTree(RwLock<(HashMap<Key, Record>, BTreeMap<Key, Record>)>);

impl Subject for HashAndTree {
    fn load(records: Vec<Record>, _revision: Revision) -> Self {
        let tree: BTreeMap<Key, Record> = records
            .into_iter()
            .map(|record| (record.key().into(), record))
            .collect();
        let hash = tree
            .iter()
            .map(|(key, record)| (Arc::clone(key), record.clone()))
            .collect();
        Self(RwLock::new((hash, tree)))
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        self.0
            .read()
            .0
            .get(key)
            .into_iter()
            .for_each(|record| copy(record, out));
    }

    fn put(&mut self, record: Record, _revision: Revision) {
        let mut maps = self.0.write();
        let (hash, tree) = &mut *maps;
        if let Some(slot) = hash.get_mut(record.key()) {
            *slot = record.clone();
            tree.get_mut(record.key())
                .into_iter()
                .for_each(|slot| *slot = record.clone());
        } else {
            let key: Key = record.key().into();
            hash.insert(Arc::clone(&key), record.clone());
            tree.insert(key, record);
        }
    }

    fn range(&self, start: &[u8], limit: usize, out: &mut Vec<u8>) {
        self.0
            .read()
            .1
            .range::<[u8], _>(from(start))
            .take(limit)
            .for_each(|(_, record)| copy(record, out));
    }

    fn count(&self, start: &[u8], end: &[u8]) -> usize {
        self.0.read().1.range::<[u8], _>(bounds(start, end)).count()
    }
}

/// A persistent B-tree: readers take a snapshot, the writer copies what it changes. No snapshot is
/// held while it is measured, which is its best case.
pub struct Persistent(RwLock<imbl::OrdMap<Key, Record>>);

impl Subject for Persistent {
    fn load(records: Vec<Record>, _revision: Revision) -> Self {
        Self(RwLock::new(
            records
                .into_iter()
                .map(|record| (Key::from(record.key()), record))
                .collect(),
        ))
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        self.0
            .read()
            .get(key)
            .into_iter()
            .for_each(|record| copy(record, out));
    }

    fn put(&mut self, record: Record, _revision: Revision) {
        self.0.write().insert(record.key().into(), record);
    }

    fn range(&self, start: &[u8], limit: usize, out: &mut Vec<u8>) {
        self.0
            .read()
            .range::<_, [u8]>(from(start))
            .take(limit)
            .for_each(|(_, record)| copy(record, out));
    }

    fn count(&self, start: &[u8], end: &[u8]) -> usize {
        self.0.read().range::<_, [u8]>(bounds(start, end)).count()
    }
}

/// A concurrent skip list.
pub struct Skips(SkipMap<Key, Record>);

impl Subject for Skips {
    fn load(records: Vec<Record>, _revision: Revision) -> Self {
        Self(
            records
                .into_iter()
                .map(|record| (record.key().into(), record))
                .collect(),
        )
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        self.0
            .get(key)
            .into_iter()
            .for_each(|entry| copy(entry.value(), out));
    }

    fn put(&mut self, record: Record, _revision: Revision) {
        self.0.insert(record.key().into(), record);
    }

    fn range(&self, start: &[u8], limit: usize, out: &mut Vec<u8>) {
        self.0
            .range::<[u8], _>(from(start))
            .take(limit)
            .for_each(|entry| copy(entry.value(), out));
    }

    fn count(&self, start: &[u8], end: &[u8]) -> usize {
        self.0.range::<[u8], _>(bounds(start, end)).count()
    }
}
