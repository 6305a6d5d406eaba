//! What is on disk: one redb file with the log, the state that the log begins from, and the leases.
//!
//! Invariants: a step is written whole or not at all, and is durable when [`Disk::commit`] returns;
//! state at `base` plus every commit of the log after it is the keyspace. Compaction at C keeps
//! the commit of C itself, for watches that start there, so `base` moves up to C - 1 only. It
//! evaluates nothing and knows no client.

mod codec;
mod fold;
mod recover;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use meridian_keyspace::{Change, LeaseId, Record};
use redb::{Database, ReadableDatabase, TableDefinition, WriteTransaction};

pub(super) use self::{
    codec::StoredCommit,
    recover::{Identity, Recovered},
};

/// Revision to encoded commit.
const LOG: TableDefinition<'_, i64, &[u8]> = TableDefinition::new("log");
/// Key to its place in its revision and its record, as of the base revision; live keys alone.
const BASE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("base");
/// Lease to its TTL in seconds.
const LEASES: TableDefinition<'_, i64, i64> = TableDefinition::new("leases");
/// Name to number.
const META: TableDefinition<'_, &str, i64> = TableDefinition::new("meta");

const META_FORMAT: &str = "format";
const META_CLUSTER: &str = "cluster_id";
const META_MEMBER: &str = "member_id";
const META_TERM: &str = "raft_term";
const META_INDEX: &str = "raft_index";
const META_COMPACTED: &str = "compacted_revision";
const META_BASE: &str = "base_revision";

/// The only layout there has been.
const FORMAT: i64 = 1;

/// The file's name in the home's directory.
pub(super) const FILE: &str = "meridian.redb";

/// redb's page cache. The keyspace is in memory anyway; this serves writes and compaction.
const CACHE_BYTES: usize = 64 << 20;

/// The revision of an empty keyspace, as in a new etcd.
pub(super) const FIRST_REVISION: i64 = 1;

/// What etcd counts as compacted before the first compaction.
pub(super) const NEVER_COMPACTED: i64 = -1;

/// The open file.
pub(super) struct Disk {
    database: Database,
    path: PathBuf,
    /// State in the base table is as of this revision.
    base: i64,
    /// The highest compaction asked for.
    compacted: i64,
    /// Bytes of keys and values in all tables.
    stored_bytes: u64,
}

/// One change to what is stored.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Commit(Arc<Change>),
    Grant { id: LeaseId, ttl_secs: i64 },
    Revoke(LeaseId),
    Compact(i64),
}

impl Disk {
    /// Makes the steps durable, in one transaction with one sync. `index` is the position of the
    /// last of them in the order of all steps.
    pub(super) fn commit(&mut self, steps: &[Step], index: u64) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        let written = write_steps(&transaction, steps, index)?;
        transaction.commit()?;
        self.stored_bytes += written;
        for step in steps {
            if let Step::Compact(revision) = step {
                self.compacted = *revision;
            }
        }
        Ok(())
    }

    /// Makes the file as small as it gets.
    pub(super) fn defragment(&mut self) -> Result<(), redb::Error> {
        while self.database.compact()? {}
        Ok(())
    }

    /// Bytes of the file.
    pub(super) fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Bytes of keys and values in it.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// The highest compaction asked for; [`NEVER_COMPACTED`] before the first.
    pub(super) fn compacted(&self) -> i64 {
        self.compacted
    }

    /// Calls `each` for each record of the base state, with its place in its revision, in key
    /// order.
    pub(super) fn base_records(
        &self,
        each: &mut dyn FnMut(u32, Record),
    ) -> Result<(), redb::Error> {
        use redb::ReadableTable;
        let transaction = self.database.begin_read()?;
        for row in transaction.open_table(BASE)?.iter()? {
            let (_, value) = row?;
            let (place, record) = codec::decode_base(value.value()).map_err(codec::corrupted)?;
            each(place, record);
        }
        Ok(())
    }

    /// Calls `each` for each commit of the log, in order.
    pub(super) fn log_commits(
        &self,
        each: &mut dyn FnMut(StoredCommit),
    ) -> Result<(), redb::Error> {
        use redb::ReadableTable;
        let transaction = self.database.begin_read()?;
        for row in transaction.open_table(LOG)?.iter()? {
            let (revision, bytes) = row?;
            let commit = codec::decode_commit(revision.value(), bytes.value());
            each(commit.map_err(codec::corrupted)?);
        }
        Ok(())
    }

    /// A checksum over every table, for `Maintenance.Hash`.
    pub(super) fn checksum(&self) -> Result<u32, redb::Error> {
        use redb::ReadableTable;
        let transaction = self.database.begin_read()?;
        let mut sum = crc32c::crc32c(b"base");
        for row in transaction.open_table(BASE)?.iter()? {
            let (key, value) = row?;
            sum = crc32c::crc32c_append(sum, key.value());
            sum = crc32c::crc32c_append(sum, value.value());
        }
        sum = crc32c::crc32c_append(sum, b"log");
        for row in transaction.open_table(LOG)?.iter()? {
            let (revision, value) = row?;
            sum = crc32c::crc32c_append(sum, &revision.value().to_be_bytes());
            sum = crc32c::crc32c_append(sum, value.value());
        }
        sum = crc32c::crc32c_append(sum, b"leases");
        for row in transaction.open_table(LEASES)?.iter()? {
            let (id, ttl) = row?;
            sum = crc32c::crc32c_append(sum, &id.value().to_be_bytes());
            sum = crc32c::crc32c_append(sum, &ttl.value().to_be_bytes());
        }
        Ok(sum)
    }

    /// A transaction that is durable once it is committed.
    fn begin(&self) -> Result<WriteTransaction, redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(redb::Durability::Immediate)?;
        Ok(transaction)
    }
}

/// Answers the bytes that the steps added to the log.
fn write_steps(
    transaction: &WriteTransaction,
    steps: &[Step],
    index: u64,
) -> Result<u64, redb::Error> {
    let mut log = transaction.open_table(LOG)?;
    let mut leases = transaction.open_table(LEASES)?;
    let mut meta = transaction.open_table(META)?;
    let mut written = 0;
    for step in steps {
        match step {
            Step::Commit(change) => {
                let bytes = codec::encode_commit(change);
                log.insert(change.revision.get(), bytes.as_slice())?;
                written += log_bytes(bytes.len());
            }
            Step::Grant { id, ttl_secs } => {
                leases.insert(id.get(), ttl_secs)?;
            }
            Step::Revoke(id) => {
                leases.remove(id.get())?;
            }
            Step::Compact(revision) => {
                meta.insert(META_COMPACTED, revision)?;
            }
        }
    }
    meta.insert(META_INDEX, index as i64)?;
    Ok(written)
}

/// What a commit of `encoded` bytes counts in the log: its revision and itself.
fn log_bytes(encoded: usize) -> u64 {
    8 + encoded as u64
}

/// The file in a home's directory.
fn file_in(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

#[cfg(test)]
mod tests;
