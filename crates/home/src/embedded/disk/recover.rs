//! Opening the file, and what was in it.
//!
//! Invariant: a file that another process holds, that is not ours or of another layout is left as
//! it is, and the error says in one line what to do.

use std::{fs, path::Path};

use redb::{Builder, Database, DatabaseError, ReadableTable, WriteTransaction};

use super::{
    BASE, CACHE_BYTES, Disk, FIRST_REVISION, FORMAT, LEASES, LOG, META, META_BASE, META_CLUSTER,
    META_COMPACTED, META_FORMAT, META_INDEX, META_MEMBER, META_TERM, NEVER_COMPACTED,
};
use crate::embedded::OpenError;

/// Who this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Identity {
    pub(in super::super) cluster_id: u64,
    pub(in super::super) member_id: u64,
    /// One more with each start.
    pub(in super::super) raft_term: u64,
}

/// What was in the file, beside base and log.
pub(in super::super) struct Recovered {
    pub(in super::super) disk: Disk,
    pub(in super::super) identity: Identity,
    /// Position of the last step written.
    pub(in super::super) index: u64,
    /// The revision of the base state.
    pub(in super::super) base: i64,
    /// Leases with their TTLs in seconds.
    pub(in super::super) leases: Vec<(i64, i64)>,
}

impl Disk {
    /// Opens the file in `dir`, making both if they are not there.
    pub(in super::super) fn open(dir: &Path) -> Result<Recovered, OpenError> {
        fs::create_dir_all(dir).map_err(|source| OpenError::Directory {
            dir: dir.to_owned(),
            source,
        })?;
        let path = super::file_in(dir);
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
            .map_err(|error| explain(error, dir, &path))?;
        // The file's own entry in the directory must survive a loss of power too.
        fs::File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| OpenError::Directory {
                dir: dir.to_owned(),
                source,
            })?;
        let damaged = |error| OpenError::Storage {
            path: path.clone(),
            source: Box::new(error),
        };
        let meta = begin_term(&database).map_err(damaged)?;
        if meta.format != FORMAT {
            return Err(OpenError::Layout {
                path: path.clone(),
                found: meta.format,
            });
        }
        let (leases, stored_bytes) = read_tables(&database).map_err(damaged)?;
        let disk = Disk {
            database,
            path,
            base: meta.base,
            compacted: meta.compacted,
            stored_bytes,
        };
        Ok(Recovered {
            disk,
            identity: meta.identity,
            index: meta.index,
            base: meta.base,
            leases,
        })
    }
}

fn explain(error: DatabaseError, dir: &Path, path: &Path) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::Locked {
            path: path.to_owned(),
        },
        DatabaseError::Storage(redb::StorageError::Io(source))
            if source.kind() != std::io::ErrorKind::InvalidData =>
        {
            OpenError::Directory {
                dir: dir.to_owned(),
                source,
            }
        }
        other => OpenError::Storage {
            path: path.to_owned(),
            source: Box::new(other.into()),
        },
    }
}

struct Meta {
    format: i64,
    identity: Identity,
    index: u64,
    base: i64,
    compacted: i64,
}

/// Reads the numbers, fills in those of a new file, and begins a new term. A file of another
/// layout is left untouched.
fn begin_term(database: &Database) -> Result<Meta, redb::Error> {
    let transaction = database.begin_write()?;
    let meta = {
        let mut table = transaction.open_table(META)?;
        let mut number = |name: &str, initial: i64| -> Result<i64, redb::Error> {
            if let Some(found) = table.get(name)? {
                return Ok(found.value());
            }
            table.insert(name, initial)?;
            Ok(initial)
        };
        let format = number(META_FORMAT, FORMAT)?;
        // A new etcd's first leader has term 2.
        let term = number(META_TERM, 1)? + 1;
        let identity = Identity {
            cluster_id: number(META_CLUSTER, fastrand::i64(1..))? as u64,
            member_id: number(META_MEMBER, fastrand::i64(1..))? as u64,
            raft_term: term as u64,
        };
        let index = number(META_INDEX, 0)? as u64;
        let base = number(META_BASE, FIRST_REVISION)?;
        let compacted = number(META_COMPACTED, NEVER_COMPACTED)?;
        table.insert(META_TERM, term)?;
        Meta {
            format,
            identity,
            index,
            base,
            compacted,
        }
    };
    if meta.format != FORMAT {
        transaction.abort()?;
        return Ok(meta);
    }
    open_tables(&transaction)?;
    transaction.commit()?;
    Ok(meta)
}

/// Makes the tables of a new file, so that readers find them.
fn open_tables(transaction: &WriteTransaction) -> Result<(), redb::Error> {
    transaction.open_table(LOG)?;
    transaction.open_table(BASE)?;
    transaction.open_table(LEASES)?;
    Ok(())
}

fn read_tables(database: &Database) -> Result<(Vec<(i64, i64)>, u64), redb::Error> {
    use redb::ReadableDatabase;
    let transaction = database.begin_read()?;
    let mut bytes = 0;
    for row in transaction.open_table(LOG)?.iter()? {
        bytes += super::log_bytes(row?.1.value().len());
    }
    for row in transaction.open_table(BASE)?.iter()? {
        let (key, value) = row?;
        bytes += (key.value().len() + value.value().len()) as u64;
    }
    let mut leases = Vec::new();
    for row in transaction.open_table(LEASES)?.iter()? {
        let (id, ttl) = row?;
        leases.push((id.value(), ttl.value()));
    }
    Ok((leases, bytes))
}
