//! What a batch says before it is coded: for each revision the number of its events, and each event
//! as the length and the bytes of an encoded `KeyValue`.
//!
//! Invariant: what [`parse`] lets pass is contiguous from the first revision on, and each record
//! carries the revision it stands in. How a payload is coded and framed is not known here.

use meridian_keyspace::{Commit, Record, Revision};

use crate::number::{Reader, Wrong, put_varint, varint_bytes};

/// The shortest event: a length and a tombstone of a key of one byte (3) at a small revision (2).
pub(crate) const EVENT_BYTES_MIN: usize = 6;

/// Why a payload is not what its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payload is wrong at byte {offset}: {reason}")]
pub struct PayloadError {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, in the decoded payload.
    pub offset: usize,
}

/// Bytes that these records take, each with its length before it.
pub(crate) fn records_bytes(records: &[Record]) -> usize {
    records.iter().map(record_bytes).sum()
}

/// Bytes that a record takes with its length before it.
pub(crate) fn record_bytes(record: &Record) -> usize {
    let bytes = record.encoded().len();
    varint_bytes(bytes as u64) + bytes
}

/// Bytes that a commit takes in a payload.
pub(crate) fn commit_bytes(commit: &Commit) -> usize {
    varint_bytes(commit.records.len() as u64) + records_bytes(&commit.records)
}

/// Appends a commit to a payload.
pub(crate) fn put_commit(out: &mut Vec<u8>, commit: &Commit) {
    put_varint(out, commit.records.len() as u64);
    for record in &commit.records {
        put_record(out, record);
    }
}

/// Appends a record with its length.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &Record) {
    put_varint(out, record.encoded().len() as u64);
    out.extend_from_slice(record.encoded());
}

/// What the header of a batch says of its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) first: Revision,
    pub(crate) last: Revision,
    pub(crate) events: u32,
}

/// The commits of a whole payload.
pub(crate) fn parse(raw: &[u8], expected: Expected) -> Result<Vec<Commit>, PayloadError> {
    let mut reader = Reader::new(raw);
    let count = expected.last.get() - expected.first.get() + 1;
    // The header was checked: each revision takes bytes of the payload, so this is no more than it.
    let mut commits = Vec::with_capacity((count as usize).min(raw.len()));
    let mut events = 0_u64;
    for number in expected.first.get()..=expected.last.get() {
        let commit = parse_commit(&mut reader, Revision::new(number))?;
        events += commit.records.len() as u64;
        commits.push(commit);
    }
    if reader.left() > 0 {
        return Err(wrong(&reader, "there is more after the last revision"));
    }
    if events != u64::from(expected.events) {
        return Err(wrong(&reader, "the header tells another number of events"));
    }
    Ok(commits)
}

fn parse_commit(reader: &mut Reader<'_>, revision: Revision) -> Result<Commit, PayloadError> {
    let count = number(reader)?;
    if count == 0 {
        return Err(wrong(reader, "a revision without events"));
    }
    let most = reader.left() / EVENT_BYTES_MIN;
    let count = usize::try_from(count).ok().filter(|count| *count <= most);
    let count = count.ok_or_else(|| wrong(reader, "more events than it has bytes for"))?;
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let record = parse_record(reader)?;
        if record.mod_revision() != revision {
            return Err(wrong(reader, "a record of another revision"));
        }
        records.push(record);
    }
    Ok(Commit { revision, records })
}

/// A record with its length before it.
pub(crate) fn parse_record(reader: &mut Reader<'_>) -> Result<Record, PayloadError> {
    let start = *reader;
    let bytes = reader
        .string()
        .map_err(|error| wrong(&start, error.reason()))?;
    Record::from_encoded(bytes).map_err(|error| wrong(&start, error.reason))
}

/// A varint.
pub(crate) fn number(reader: &mut Reader<'_>) -> Result<u64, PayloadError> {
    let start = *reader;
    reader
        .varint()
        .map_err(|error: Wrong| wrong(&start, error.reason()))
}

pub(crate) const fn wrong(reader: &Reader<'_>, reason: &'static str) -> PayloadError {
    PayloadError {
        reason,
        offset: reader.at(),
    }
}
