//! What the simulated home committed: a revision's content follows from its number, so any copy can be checked.

use meridian_keyspace::{Commit, LeaseId, Record, Revision, record::Fields};

pub(crate) fn commit(revision: Revision) -> Commit {
    let value = format!("value {revision}");
    let key = [b'k', (revision.get() % 7) as u8];
    let record = Record::new(Fields {
        key: &key,
        value: value.as_bytes(),
        create_revision: revision,
        mod_revision: revision,
        version: 1,
        lease: LeaseId::NONE,
    });
    Commit {
        revision,
        records: vec![record],
    }
}

pub(crate) fn is_commit(found: &Commit) -> bool {
    *found == commit(found.revision)
}

/// Commits of these revisions.
pub(crate) fn commits(first: Revision, last: Revision) -> Vec<Commit> {
    (first.get()..=last.get())
        .map(|number| commit(Revision::new(number)))
        .collect()
}
