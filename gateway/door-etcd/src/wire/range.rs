//! `RangeResponse` as bytes: field numbers kvs 2, more 3, count 4.

use bytes::{BufMut, Bytes, BytesMut};
use meridian_home::Facts;
use meridian_keyspace::{RangeAnswer, Record};

use super::{Answer, put_number, put_slice, put_varint, slice_bytes, varint_bytes};

const TAG_KVS: u8 = 0x12;
const TAG_MORE: u8 = 0x18;
const TAG_COUNT: u8 = 0x20;

/// `mvccpb.KeyValue`.
const TAG_KEY: u8 = 0x0a;
const TAG_CREATE: u8 = 0x10;
const TAG_MOD: u8 = 0x18;
const TAG_VERSION: u8 = 0x20;
const TAG_LEASE: u8 = 0x30;

/// A `count` of one: tag and value.
const COUNT_ONE_BYTES: usize = 2;

/// What of a record goes into the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// All but the value, as `keys_only` asks.
    WithoutValue,
}

/// The answer to a read of one key, of which `record` was found. Its buffer is just as large as the
/// answer: [`Bytes`] takes such a one over as it is, and allocates again for any other.
pub(crate) fn point(record: Option<&Record>) -> Answer {
    let Some(record) = record else {
        return Answer::with_capacity(0);
    };
    // Exactly as large as it gets, so that the buffer is handed on as it is.
    let mut answer = Answer::with_capacity(slice_bytes(record.encoded().len()) + COUNT_ONE_BYTES);
    put_slice(answer.body(), TAG_KVS, record.encoded());
    put_number(answer.body(), TAG_COUNT, 1);
    answer
}

/// Adds one record.
pub(crate) fn put_record(out: &mut BytesMut, record: &Record, part: Part) {
    match part {
        Part::Whole => put_slice(out, TAG_KVS, record.encoded()),
        Part::WithoutValue => put_without_value(out, record),
    }
}

/// Ends the answer.
pub(crate) fn finish(mut answer: Answer, facts: &Facts, found: &RangeAnswer) -> Bytes {
    let body = answer.body();
    put_number(body, TAG_MORE, u64::from(found.more));
    put_number(body, TAG_COUNT, found.count as u64);
    answer.finish(&Facts {
        revision: found.current,
        ..*facts
    })
}

fn put_without_value(out: &mut BytesMut, record: &Record) {
    let fields = record.fields();
    let numbers = [
        (TAG_CREATE, fields.create_revision.get() as u64),
        (TAG_MOD, fields.mod_revision.get() as u64),
        (TAG_VERSION, fields.version as u64),
        (TAG_LEASE, fields.lease.get() as u64),
    ];
    let set = numbers.iter().filter(|(_, value)| *value != 0);
    let len = slice_bytes(fields.key.len()) + set.map(|(_, v)| 1 + varint_bytes(*v)).sum::<usize>();
    out.put_u8(TAG_KVS);
    put_varint(out, len as u64);
    put_slice(out, TAG_KEY, fields.key);
    for (tag, value) in numbers {
        put_number(out, tag, value);
    }
}
