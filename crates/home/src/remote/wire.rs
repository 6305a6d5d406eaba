//! etcd's two bulk answers, a range and a batch of watch events, read straight from their bytes.
//!
//! Owns the walk over protobuf fields that turns embedded `KeyValue` messages into [`Record`]s
//! without decoding them twice. Pure; unknown fields are passed over, broken bytes are refused.

use meridian_etcd_api::etcdserverpb::ResponseHeader;
use meridian_keyspace::{Event, Record, Revision};
use prost::Message;

use crate::Facts;

/// Bytes that are not the message they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the home sent a broken message: {0}")]
pub(super) struct Broken(String);

/// A `RangeResponse`.
#[derive(Debug, Default)]
pub(super) struct RangePage {
    pub(super) facts: Facts,
    pub(super) records: Vec<Record>,
    pub(super) more: bool,
    pub(super) count: i64,
}

/// A `WatchResponse`.
#[derive(Debug, Default)]
pub(super) struct WatchBatch {
    pub(super) facts: Facts,
    pub(super) created: bool,
    pub(super) canceled: bool,
    pub(super) compacted: Revision,
    pub(super) cancel_reason: String,
    /// In the order of the home: by revision, and within one by operation.
    pub(super) events: Vec<Event>,
}

impl WatchBatch {
    /// Whether it only tells how far the watch has come: no event up to `facts.revision` is owed.
    pub(super) fn is_progress(&self) -> bool {
        !self.created && !self.canceled && self.events.is_empty()
    }
}

/// The facts in a response header.
pub(super) fn facts(header: &ResponseHeader) -> Facts {
    Facts {
        cluster_id: header.cluster_id,
        member_id: header.member_id,
        raft_term: header.raft_term,
        revision: Revision::new(header.revision),
    }
}

/// Reads a `RangeResponse`: header 1, kvs 2, more 3, count 4.
pub(super) fn range_page(message: &[u8]) -> Result<RangePage, Broken> {
    let mut page = RangePage::default();
    let mut rest = message;
    while let Some((number, value)) = field(&mut rest)? {
        match (number, value) {
            (1, Value::Bytes(header)) => page.facts = read_header(header)?,
            (2, Value::Bytes(record)) => page.records.push(live(record)?),
            (3, Value::Int(more)) => page.more = more != 0,
            (4, Value::Int(count)) => page.count = count as i64,
            (_, Value::Bytes(_) | Value::Int(_) | Value::Fixed) => {}
        }
    }
    Ok(page)
}

/// Reads a `WatchResponse`: header 1, created 3, canceled 4, compact_revision 5, cancel_reason 6,
/// events 11.
pub(super) fn watch_batch(message: &[u8]) -> Result<WatchBatch, Broken> {
    let mut batch = WatchBatch::default();
    let mut rest = message;
    while let Some((number, value)) = field(&mut rest)? {
        match (number, value) {
            (1, Value::Bytes(header)) => batch.facts = read_header(header)?,
            (3, Value::Int(created)) => batch.created = created != 0,
            (4, Value::Int(canceled)) => batch.canceled = canceled != 0,
            (5, Value::Int(revision)) => batch.compacted = Revision::new(revision as i64),
            (6, Value::Bytes(why)) => batch.cancel_reason = String::from_utf8_lossy(why).into(),
            (11, Value::Bytes(event)) => batch.events.push(read_event(event)?),
            (_, Value::Bytes(_) | Value::Int(_) | Value::Fixed) => {}
        }
    }
    Ok(batch)
}

/// Reads an `Event`: type 1 (0 put, 1 delete), kv 2, prev_kv 3.
fn read_event(event: &[u8]) -> Result<Event, Broken> {
    let (mut is_delete, mut record, mut previous) = (false, None, None);
    let mut rest = event;
    while let Some((number, value)) = field(&mut rest)? {
        match (number, value) {
            (1, Value::Int(kind)) => is_delete = kind == 1,
            (2, Value::Bytes(bytes)) => record = Some(live(bytes)?),
            (3, Value::Bytes(bytes)) => previous = Some(live(bytes)?),
            (_, Value::Bytes(_) | Value::Int(_) | Value::Fixed) => {}
        }
    }
    let mut record = record.ok_or_else(|| Broken("an event without a key".to_owned()))?;
    if is_delete {
        record = Record::tombstone(record.key(), record.mod_revision());
    }
    Ok(Event { record, previous })
}

fn live(bytes: &[u8]) -> Result<Record, Broken> {
    Record::from_encoded(bytes).map_err(|e| Broken(e.to_string()))
}

fn read_header(bytes: &[u8]) -> Result<Facts, Broken> {
    let header = ResponseHeader::decode(bytes).map_err(|e| Broken(format!("header: {e}")))?;
    Ok(facts(&header))
}

/// A field's value by its wire type.
#[derive(Clone, Copy)]
enum Value<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, which no field of ours has.
    Fixed,
}

/// Takes the next field off `rest`; none at the end.
fn field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, Value<'a>)>, Broken> {
    if rest.is_empty() {
        return Ok(None);
    }
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Int(varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Fixed)?,
        2 => {
            let len = varint(rest)?;
            Value::Bytes(take(rest, usize::try_from(len).unwrap_or(usize::MAX))?)
        }
        5 => take(rest, 4).map(|_| Value::Fixed)?,
        kind => return Err(Broken(format!("unknown wire type {kind}"))),
    };
    Ok(Some((tag >> 3, value)))
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], Broken> {
    let (taken, left) = rest
        .split_at_checked(len)
        .ok_or_else(|| Broken("it ends early".to_owned()))?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, Broken> {
    prost::encoding::decode_varint(rest).map_err(|e| Broken(e.to_string()))
}

#[cfg(test)]
mod tests;
