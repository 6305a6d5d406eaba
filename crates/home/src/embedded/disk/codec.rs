//! How commits and base records are spelled on disk.
//!
//! A commit is, per record in operation order, the record's length as four little-endian bytes and
//! the encoded `KeyValue`; its revision is the row's key. A base row is the record's place in its
//! revision as four little-endian bytes, and the record. Golden bytes in the tests.

use meridian_keyspace::{Change, Record, RecordError, Revision};

/// A commit as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct StoredCommit {
    pub(in super::super) revision: Revision,
    pub(in super::super) records: Vec<Record>,
}

/// Why a row cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowError {
    #[error("a row of the log or base table ends too early")]
    Truncated,
    #[error("a row holds no record: {0}")]
    Record(#[from] RecordError),
}

pub(super) fn encode_commit(change: &Change) -> Vec<u8> {
    let size = change
        .events
        .iter()
        .map(|event| 4 + event.record.encoded().len())
        .sum();
    let mut bytes = Vec::with_capacity(size);
    for event in &change.events {
        let record = event.record.encoded();
        let len = u32::try_from(record.len()).expect("a request is far below 4 GiB");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(record);
    }
    bytes
}

pub(super) fn decode_commit(revision: i64, mut bytes: &[u8]) -> Result<StoredCommit, RowError> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = split_u32(bytes)?;
        let (record, rest) = rest
            .split_at_checked(len as usize)
            .ok_or(RowError::Truncated)?;
        records.push(Record::from_encoded(record)?);
        bytes = rest;
    }
    Ok(StoredCommit {
        revision: Revision::new(revision),
        records,
    })
}

pub(super) fn encode_base(place: u32, record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + record.encoded().len());
    bytes.extend_from_slice(&place.to_le_bytes());
    bytes.extend_from_slice(record.encoded());
    bytes
}

pub(super) fn decode_base(bytes: &[u8]) -> Result<(u32, Record), RowError> {
    let (place, record) = split_u32(bytes)?;
    Ok((place, Record::from_encoded(record)?))
}

fn split_u32(bytes: &[u8]) -> Result<(u32, &[u8]), RowError> {
    let (number, rest) = bytes.split_first_chunk::<4>().ok_or(RowError::Truncated)?;
    Ok((u32::from_le_bytes(*number), rest))
}

/// A row that cannot be read, as the store's own word for it.
pub(super) fn corrupted(error: RowError) -> redb::Error {
    redb::Error::Corrupted(error.to_string())
}
