//! Compaction on disk: commits before the compacted revision move from the log into the base.
//!
//! Invariant: one fold is one transaction of bounded size, after which base and log together say
//! what they said before, without the history.

use redb::{ReadableTable, Table, WriteTransaction};

use super::{BASE, Disk, LOG, META, META_BASE, codec};

/// What one fold moves at most, so that writes wait no longer than for some milliseconds.
const FOLD_COMMITS: usize = 512;
const FOLD_BYTES: u64 = 4 << 20;

impl Disk {
    /// Whether commits wait to be folded.
    pub(in super::super) fn has_folds(&self) -> bool {
        self.base < self.compacted - 1
    }

    /// Whether compaction at `revision` is done on disk.
    pub(in super::super) fn is_folded_to(&self, revision: i64) -> bool {
        self.base >= revision - 1
    }

    /// Moves the next commits into the base.
    pub(in super::super) fn fold(&mut self) -> Result<(), redb::Error> {
        let transaction = self.begin()?;
        let folded = self.fold_within(&transaction)?;
        transaction
            .open_table(META)?
            .insert(META_BASE, folded.base)?;
        transaction.commit()?;
        self.base = folded.base;
        self.stored_bytes = self.stored_bytes + folded.added - folded.removed;
        Ok(())
    }

    fn fold_within(&self, transaction: &WriteTransaction) -> Result<Folded, redb::Error> {
        let mut log = transaction.open_table(LOG)?;
        let mut base = transaction.open_table(BASE)?;
        let mut folded = Folded {
            base: self.compacted - 1,
            added: 0,
            removed: 0,
        };
        let mut taken = 0;
        while let Some(revision) = first_below(&log, self.compacted)? {
            if taken == FOLD_COMMITS || folded.removed >= FOLD_BYTES {
                folded.base = revision - 1;
                break;
            }
            let row = log.remove(revision)?.expect("just found");
            folded.removed += super::log_bytes(row.value().len());
            let commit = codec::decode_commit(revision, row.value()).map_err(codec::corrupted)?;
            for (place, record) in (0u32..).zip(&commit.records) {
                put(&mut base, place, record, &mut folded)?;
            }
            taken += 1;
        }
        Ok(folded)
    }
}

struct Folded {
    base: i64,
    added: u64,
    removed: u64,
}

fn first_below(
    log: &Table<'_, i64, &'static [u8]>,
    compacted: i64,
) -> Result<Option<i64>, redb::Error> {
    let first = log.first()?;
    Ok(first
        .map(|(revision, _)| revision.value())
        .filter(|revision| *revision < compacted))
}

fn put(
    base: &mut Table<'_, &'static [u8], &'static [u8]>,
    place: u32,
    record: &meridian_keyspace::Record,
    folded: &mut Folded,
) -> Result<(), redb::Error> {
    let key = record.key();
    let replaced = if record.is_tombstone() {
        base.remove(key)?
    } else {
        let bytes = codec::encode_base(place, record);
        folded.added += (key.len() + bytes.len()) as u64;
        base.insert(key, bytes.as_slice())?
    };
    if let Some(replaced) = replaced {
        folded.removed += (key.len() + replaced.value().len()) as u64;
    }
    Ok(())
}
