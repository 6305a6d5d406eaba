//! From a file to a running node: recovery.
//!
//! Invariant: the keyspace after it is the one that was last published, or one that was durable
//! and about to be; leases have their full TTL again, as after a change of etcd's leader.

use std::{path::Path, sync::Arc, time::Duration};

use meridian_keyspace::{
    ApplyError, Commit, Keyspace, LeaseId, Revision, SharedKeyspace, WindowLimits, lease::Leases,
};
use meridian_runtime::TaskGroup;
use tokio::sync::Semaphore;

use super::{
    OpenError,
    disk::{self, Disk, Identity, Recovered},
    head::Head,
    node::{Node, QUEUE_BYTES},
    published::{self, Published},
    writer,
};

/// What a file held, in memory.
pub(super) struct Opened {
    disk: Disk,
    identity: Identity,
    index: u64,
    /// The same keyspace twice: the writer's and the readers'. Records are shared.
    head: Keyspace,
    keyspace: Keyspace,
    leases: Leases,
}

pub(super) fn open(dir: &Path) -> Result<Opened, OpenError> {
    let Recovered {
        disk,
        identity,
        index,
        base,
        leases,
    } = Disk::open(dir)?;
    let path = dir.join(disk::FILE);
    let storage = |error| OpenError::Storage {
        path: path.clone(),
        source: Box::new(error),
    };
    let mut records = Vec::new();
    disk.base_records(&mut |_, record| records.push(record))
        .map_err(storage)?;
    let base = Revision::new(base);
    let mut head = Keyspace::restore(WindowLimits::UNLIMITED, base, records.iter().cloned());
    let mut keyspace = Keyspace::restore(WindowLimits::UNLIMITED, base, records);
    let mut gap = None;
    disk.log_commits(&mut |commit| {
        let commit = Commit {
            revision: commit.revision,
            records: commit.records,
        };
        let applied = head
            .apply(commit.clone())
            .and_then(|_| keyspace.apply(commit));
        gap = gap.or(applied.err());
    })
    .map_err(storage)?;
    if let Some(ApplyError { expected, arrived }) = gap {
        return Err(OpenError::Gap {
            path,
            expected,
            arrived,
        });
    }
    let compacted = Revision::new(disk.compacted());
    head.compact(compacted);
    keyspace.compact(compacted);
    let leases = recover_leases(&leases, &keyspace);
    Ok(Opened {
        disk,
        identity,
        index,
        head,
        keyspace,
        leases,
    })
}

/// The leases, and the keys attached to them.
fn recover_leases(granted: &[(i64, i64)], keyspace: &Keyspace) -> Leases {
    let mut leases = Leases::new();
    for (id, ttl_secs) in granted {
        let granted = leases.grant(LeaseId::new(*id), *ttl_secs, Duration::ZERO);
        granted.expect("a table has each id once");
    }
    let all = meridian_keyspace::RangeQuery::of(meridian_keyspace::KeySpan::ALL);
    let read = keyspace.range(&all, &mut |record| {
        let fields = record.fields();
        if leases.exists(fields.lease) {
            published::attach(&mut leases, fields.key, fields.lease);
        }
    });
    read.expect("the current revision can be read");
    leases
}

/// Starts the writer. The lease clock begins now.
pub(super) fn start(
    opened: Opened,
    name: String,
    client_urls: Vec<String>,
    tasks: &TaskGroup,
) -> Node {
    let Opened {
        disk,
        identity,
        index,
        head,
        keyspace,
        leases,
    } = opened;
    let head = Head::new(head, leases.clone(), disk.compacted());
    let keyspace = Arc::new(SharedKeyspace::new(keyspace));
    let published = Arc::new(Published::new(identity, keyspace, leases, index));
    let jobs = writer::start(head, disk, Arc::clone(&published), tasks);
    Node {
        name,
        client_urls,
        published,
        tasks: tasks.clone(),
        jobs,
        queue_bytes: Arc::new(Semaphore::new(QUEUE_BYTES)),
    }
}
