//! One version of one key, kept once, as the encoded `mvccpb.KeyValue` message.
//!
//! Invariant: the bytes are a canonical encoding (fields in number order, zero fields left out), so
//! that a range answer or a watch event is a header and concatenated slices. A delete is a
//! *tombstone*: key and `mod_revision` alone, as etcd's delete events carry it.

use std::fmt;

use triomphe::Arc;

use crate::{LeaseId, Revision};

/// Field numbers of `mvccpb.KeyValue` (etcd API): key 1, create_revision 2, mod_revision 3,
/// version 4, value 5, lease 6; as tag bytes with their wire types.
const TAG_KEY: u8 = 0x0a;
const TAG_CREATE: u8 = 0x10;
const TAG_MOD: u8 = 0x18;
const TAG_VERSION: u8 = 0x20;
const TAG_VALUE: u8 = 0x2a;
const TAG_LEASE: u8 = 0x30;

/// One version of one key. Cloning shares the bytes. The count in front of them is one word: with
/// std's second one, for weak references that nobody needs, a record of 300 bytes falls into the
/// next size class of the allocator (decision 0004).
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<[u8]>);

/// The fields of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Fields<'a> {
    /// The key; never empty.
    pub key: &'a [u8],
    /// The value; empty in a tombstone.
    pub value: &'a [u8],
    /// Revision of the key's creation; zero in a tombstone.
    pub create_revision: Revision,
    /// Revision of this version.
    pub mod_revision: Revision,
    /// 1 at creation, one more with each put; zero in a tombstone.
    pub version: i64,
    /// The lease attached to the key.
    pub lease: LeaseId,
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an encoded KeyValue: {reason} at byte {offset}")]
pub struct RecordError {
    /// What is wrong.
    pub reason: &'static str,
    /// Where, counted from the start of the message.
    pub offset: usize,
}

impl Record {
    /// The record with these fields.
    pub fn new(fields: Fields<'_>) -> Self {
        let mut bytes = Vec::with_capacity(fields.key.len() + fields.value.len() + 48);
        put_bytes(&mut bytes, TAG_KEY, fields.key);
        put_int(&mut bytes, TAG_CREATE, fields.create_revision.get());
        put_int(&mut bytes, TAG_MOD, fields.mod_revision.get());
        put_int(&mut bytes, TAG_VERSION, fields.version);
        put_bytes(&mut bytes, TAG_VALUE, fields.value);
        put_int(&mut bytes, TAG_LEASE, fields.lease.get());
        Self(bytes.into())
    }

    /// The tombstone that deletes `key` at `revision`.
    pub fn tombstone(key: &[u8], revision: Revision) -> Self {
        Self::new(Fields {
            key,
            mod_revision: revision,
            ..Fields::default()
        })
    }

    /// Reads an encoded `KeyValue`; unknown fields are dropped, field order does not matter.
    ///
    /// # Errors
    /// If the bytes are no `KeyValue`, or its key is empty.
    pub fn from_encoded(bytes: &[u8]) -> Result<Self, RecordError> {
        let fields = parse(bytes)?;
        if fields.key.is_empty() {
            return Err(RecordError {
                reason: "empty key",
                offset: 0,
            });
        }
        Ok(Self::new(fields))
    }

    /// The encoded `KeyValue` message.
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// All fields; some tens of nanoseconds.
    pub fn fields(&self) -> Fields<'_> {
        parse(&self.0).expect("a record holds a canonical encoding, checked when it was made")
    }

    /// The key; needs no full parse.
    pub fn key(&self) -> &[u8] {
        // Canonical: tag byte, length, key.
        let (len, at) = canonical_varint(&self.0, 1);
        &self.0[at..at + len as usize]
    }

    /// Revision of this version; needs no full parse.
    pub fn mod_revision(&self) -> Revision {
        let mut at = self.key_end();
        if self.0.get(at) == Some(&TAG_CREATE) {
            at = canonical_varint(&self.0, at + 1).1;
        }
        match self.0.get(at) {
            Some(&TAG_MOD) => Revision::new(canonical_varint(&self.0, at + 1).0 as i64),
            Some(_) | None => Revision::ZERO,
        }
    }

    /// Whether this record deletes its key.
    pub fn is_tombstone(&self) -> bool {
        // Only a tombstone has no create_revision, the field after the key.
        self.0.get(self.key_end()) != Some(&TAG_CREATE)
    }

    fn key_end(&self) -> usize {
        let (len, at) = canonical_varint(&self.0, 1);
        at + len as usize
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(f)
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_int(out: &mut Vec<u8>, tag: u8, value: i64) {
    if value != 0 {
        out.push(tag);
        put_varint(out, value as u64);
    }
}

fn put_bytes(out: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if !value.is_empty() {
        out.push(tag);
        put_varint(out, value.len() as u64);
        out.extend_from_slice(value);
    }
}

/// The varint at `at` of bytes that this module encoded, and the offset after it.
#[inline]
fn canonical_varint(bytes: &[u8], at: usize) -> (u64, usize) {
    // Nearly all keys are shorter than 128 bytes.
    if let Some(byte @ ..0x80) = bytes.get(at) {
        return (u64::from(*byte), at + 1);
    }
    read_varint(bytes, at).expect("a record holds a canonical encoding")
}

fn read_varint(bytes: &[u8], mut at: usize) -> Result<(u64, usize), RecordError> {
    let start = at;
    let mut value = 0u64;
    for shift in (0..70).step_by(7) {
        let byte = *bytes.get(at).ok_or(RecordError {
            reason: "truncated number",
            offset: start,
        })?;
        at += 1;
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value, at));
        }
    }
    Err(RecordError {
        reason: "number longer than 64 bits",
        offset: start,
    })
}

fn read_bytes(bytes: &[u8], at: usize) -> Result<(&[u8], usize), RecordError> {
    let (len, start) = read_varint(bytes, at)?;
    let end = usize::try_from(len)
        .ok()
        .and_then(|len| start.checked_add(len))
        .filter(|end| *end <= bytes.len())
        .ok_or(RecordError {
            reason: "truncated field",
            offset: at,
        })?;
    Ok((&bytes[start..end], end))
}

fn parse(bytes: &[u8]) -> Result<Fields<'_>, RecordError> {
    let mut fields = Fields::default();
    let mut at = 0;
    while at < bytes.len() {
        let (tag, next) = read_varint(bytes, at)?;
        at = match u8::try_from(tag) {
            Ok(TAG_KEY) => take_bytes(bytes, next, &mut fields.key)?,
            Ok(TAG_VALUE) => take_bytes(bytes, next, &mut fields.value)?,
            Ok(TAG_CREATE) => take_int(bytes, next, |n| fields.create_revision = Revision::new(n))?,
            Ok(TAG_MOD) => take_int(bytes, next, |n| fields.mod_revision = Revision::new(n))?,
            Ok(TAG_VERSION) => take_int(bytes, next, |n| fields.version = n)?,
            Ok(TAG_LEASE) => take_int(bytes, next, |n| fields.lease = LeaseId::new(n))?,
            _ => skip(bytes, at, next, tag)?,
        };
    }
    Ok(fields)
}

fn take_bytes<'a>(bytes: &'a [u8], at: usize, into: &mut &'a [u8]) -> Result<usize, RecordError> {
    let (value, next) = read_bytes(bytes, at)?;
    *into = value;
    Ok(next)
}

fn take_int(bytes: &[u8], at: usize, set: impl FnOnce(i64)) -> Result<usize, RecordError> {
    let (value, next) = read_varint(bytes, at)?;
    set(value as i64);
    Ok(next)
}

/// Passes over a field that we do not keep, by its wire type.
fn skip(bytes: &[u8], field: usize, at: usize, tag: u64) -> Result<usize, RecordError> {
    let fixed = |len: usize| {
        at.checked_add(len)
            .filter(|end| *end <= bytes.len())
            .ok_or(RecordError {
                reason: "truncated field",
                offset: field,
            })
    };
    match tag & 7 {
        0 => Ok(read_varint(bytes, at)?.1),
        1 => fixed(8),
        2 => Ok(read_bytes(bytes, at)?.1),
        5 => fixed(4),
        _ => Err(RecordError {
            reason: "unknown wire type",
            offset: field,
        }),
    }
}

#[cfg(test)]
mod tests;
