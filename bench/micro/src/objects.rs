//! Logs to compress: what a Kubernetes cluster and a service registry write, from a seed.
//!
//! Both begin with all their objects (the first snapshot) and then rewrite them with small changes,
//! one key a revision. Names, addresses, uids and times are drawn; layout and sizes follow what such
//! systems store. The same seed gives the same bytes. No real cluster's data is in here.

mod kubernetes;
mod registry;

use meridian_keyspace::{Commit, LeaseId, Record, Revision, record::Fields};

pub use self::{kubernetes::Kubernetes, registry::Registry};

/// Something that writes.
pub trait Writer {
    /// All objects, as they stand before the first write.
    fn snapshot(&mut self) -> Vec<Put>;
    /// The next write.
    fn write(&mut self) -> Put;
}

/// One write; no value deletes the key.
pub struct Put {
    /// The key.
    pub key: Vec<u8>,
    /// What it is set to.
    pub value: Option<Vec<u8>>,
    /// The lease on it.
    pub lease: i64,
}

/// A log as etcd would number it.
pub struct Log {
    /// Every object as it stood first.
    pub snapshot: Vec<Record>,
    /// One revision after another.
    pub commits: Vec<Commit>,
}

/// Lets a writer write this many revisions.
pub fn log(mut writer: impl Writer, revisions: usize) -> Log {
    let mut keys = std::collections::HashMap::new();
    let mut revision = 1_000_000;
    let mut record = |put: Put| {
        revision += 1;
        let now = Revision::new(revision);
        let Some(value) = &put.value else {
            keys.remove(&put.key);
            return Record::tombstone(&put.key, now);
        };
        let (create_revision, version) = keys.entry(put.key.clone()).or_insert((now, 0_i64));
        *version += 1;
        Record::new(Fields {
            key: &put.key,
            value,
            create_revision: *create_revision,
            mod_revision: now,
            version: *version,
            lease: LeaseId::new(put.lease),
        })
    };
    let snapshot = writer.snapshot().into_iter().map(&mut record).collect();
    let commit = |record: Record| Commit {
        revision: record.mod_revision(),
        records: vec![record],
    };
    let commits = (0..revisions)
        .map(|_| commit(record(writer.write())))
        .collect();
    Log { snapshot, commits }
}

/// Lower-case hexadecimal digits.
fn hex(random: &mut fastrand::Rng, digits: usize) -> String {
    (0..digits)
        .map(|_| char::from_digit(random.u32(..16), 16).unwrap_or('0'))
        .collect()
}

/// Digits and lower-case letters, as generated names end in.
fn suffix(random: &mut fastrand::Rng, letters: usize) -> String {
    let alphabet = b"bcdfghjklmnpqrstvwxz2456789";
    (0..letters)
        .map(|_| char::from(alphabet[random.usize(..alphabet.len())]))
        .collect()
}

fn uid(random: &mut fastrand::Rng) -> String {
    let mut part = |digits| hex(random, digits);
    format!(
        "{}-{}-4{}-a{}-{}",
        part(8),
        part(4),
        part(3),
        part(3),
        part(12)
    )
}
