//! etcd's hash of a keyspace, `Maintenance.HashKV`.
//!
//! etcd stores per revision and operation a row: the key is the revision as eight big-endian bytes,
//! `_`, the operation's place in the revision as eight more, and `t` if it deletes; the value is
//! the `KeyValue`, in a delete with the key alone. The hash is CRC-32C over the table's name and
//! the rows up to a revision, those of the compacted past only where they are still the newest.
//! Equal histories give equal hashes, here and in a stock etcd.

use std::collections::{BTreeMap, HashMap};

use meridian_etcd_api::EtcdError;
use meridian_keyspace::{Record, Revision};

use super::{
    disk::{Disk, StoredCommit},
    job::KvHash,
};

/// The name of etcd's table of keys, with which the hash begins.
const TABLE: &[u8] = b"key";

/// A revision and a place in it.
type Place = (i64, u32);

/// Hashes the keyspace as of `revision`; zero for `current`.
pub(super) fn of_keys(
    disk: &Disk,
    revision: i64,
    current: Revision,
) -> Result<Result<KvHash, EtcdError>, redb::Error> {
    let compacted = disk.compacted();
    if revision > 0 && revision < compacted {
        return Ok(Err(EtcdError::COMPACTED));
    }
    if revision > current.get() {
        return Ok(Err(EtcdError::FUTURE_REVISION));
    }
    let hash_revision = if revision == 0 {
        current.get()
    } else {
        revision
    };
    let mut history = History::new(compacted, hash_revision);
    disk.base_records(&mut |place, record| history.put(place, record))?;
    disk.log_commits(&mut |commit| history.commit(commit))?;
    Ok(Ok(KvHash {
        hash: history.hash(),
        compacted,
        hash_revision,
        revision: current,
    }))
}

/// What of the history the hash covers.
struct History {
    compacted: i64,
    until: i64,
    /// Per key its newest row up to `until`, if it lives.
    newest: HashMap<Vec<u8>, Place>,
    /// Rows up to the compacted revision that were newest there, by place.
    past: BTreeMap<Place, Record>,
    /// Where each key of `past` is.
    past_of: HashMap<Vec<u8>, Place>,
    /// Rows after it.
    recent: Vec<(Place, Record)>,
}

impl History {
    fn new(compacted: i64, until: i64) -> Self {
        Self {
            compacted,
            until,
            newest: HashMap::new(),
            past: BTreeMap::new(),
            past_of: HashMap::new(),
            recent: Vec::new(),
        }
    }

    fn commit(&mut self, commit: StoredCommit) {
        for (place, record) in (0u32..).zip(commit.records) {
            self.put(place, record);
        }
    }

    fn put(&mut self, place: u32, record: Record) {
        let at = (record.mod_revision().get(), place);
        if at.0 > self.until {
            return;
        }
        let key = record.key().to_vec();
        if at.0 <= self.compacted
            && let Some(replaced) = self.past_of.remove(&key)
        {
            self.past.remove(&replaced);
        }
        if record.is_tombstone() {
            self.newest.remove(&key);
        } else {
            self.newest.insert(key.clone(), at);
        }
        if at.0 > self.compacted {
            self.recent.push((at, record));
        } else if !record.is_tombstone() {
            self.past.insert(at, record);
            self.past_of.insert(key, at);
        }
    }

    fn hash(&self) -> u32 {
        let mut sum = crc32c::crc32c(TABLE);
        for (at, record) in &self.past {
            // etcd passes over the replaced past, unless nothing lives at all.
            let is_newest = self.newest.get(record.key()) == Some(at);
            if is_newest || self.newest.is_empty() {
                sum = append_row(sum, *at, record);
            }
        }
        for (at, record) in &self.recent {
            sum = append_row(sum, *at, record);
        }
        sum
    }
}

fn append_row(sum: u32, (revision, place): Place, record: &Record) -> u32 {
    let mut key = Vec::with_capacity(18);
    key.extend_from_slice(&revision.to_be_bytes());
    key.push(b'_');
    key.extend_from_slice(&u64::from(place).to_be_bytes());
    if record.is_tombstone() {
        key.push(b't');
        let bare = Record::tombstone(record.key(), Revision::ZERO);
        return crc32c::crc32c_append(crc32c::crc32c_append(sum, &key), bare.encoded());
    }
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &key), record.encoded())
}
