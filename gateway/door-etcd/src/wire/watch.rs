//! `WatchResponse` as bytes: watch_id 2, created 3, canceled 4, compact_revision 5,
//! cancel_reason 6, fragment 7, events 11. Many frames go into one buffer.
//!
//! Invariant: an event's bytes are the records', copied once; nothing is allocated per event.

use bytes::{BufMut, BytesMut};
use meridian_home::Facts;
use meridian_keyspace::{Event, Revision};

use super::{Header, PREFIX_BYTES, put_number, put_slice, put_varint, slice_bytes, write_prefix};

const TAG_WATCH_ID: u8 = 0x10;
const TAG_CREATED: u8 = 0x18;
const TAG_CANCELED: u8 = 0x20;
const TAG_COMPACT_REVISION: u8 = 0x28;
const TAG_CANCEL_REASON: u8 = 0x32;
const TAG_FRAGMENT: u8 = 0x38;
const TAG_EVENTS: u8 = 0x5a;

/// `mvccpb.Event`.
const TAG_TYPE: u8 = 0x08;
const TAG_KV: u8 = 0x12;
const TAG_PREV_KV: u8 = 0x1a;
const TYPE_DELETE: u8 = 1;

/// The flag `fragment`: tag and value.
const FRAGMENT_BYTES: usize = 2;

/// Whether events carry the record they replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Previous {
    /// They do.
    Sent,
    /// They do not.
    Left,
}

/// An answer without events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Notice<'a> {
    pub(crate) watch_id: i64,
    pub(crate) created: bool,
    pub(crate) canceled: bool,
    pub(crate) compact_revision: i64,
    pub(crate) cancel_reason: &'a str,
}

/// Appends a framed answer without events.
pub(crate) fn put_notice(out: &mut BytesMut, facts: &Facts, notice: &Notice<'_>) {
    let start = begin(out, &Header::of(facts));
    put_number(out, TAG_WATCH_ID, notice.watch_id as u64);
    put_number(out, TAG_CREATED, u64::from(notice.created));
    put_number(out, TAG_CANCELED, u64::from(notice.canceled));
    put_number(out, TAG_COMPACT_REVISION, notice.compact_revision as u64);
    if !notice.cancel_reason.is_empty() {
        put_slice(out, TAG_CANCEL_REASON, notice.cancel_reason.as_bytes());
    }
    write_prefix(&mut out[start..]);
}

/// A watcher's events on their way out.
pub(crate) struct Events<'a> {
    /// Its revision is the delivery's; one revision goes to many watchers.
    pub(crate) header: &'a Header,
    pub(crate) watch_id: i64,
    pub(crate) previous: Previous,
    /// The events the watcher wants, in order.
    pub(crate) wanted: &'a mut dyn Iterator<Item = &'a Event>,
}

/// Appends one framed answer with all events; nothing if there is none. Says how many there were.
pub(crate) fn put_events(out: &mut BytesMut, events: Events<'_>) -> usize {
    let start = begin(out, events.header);
    put_number(out, TAG_WATCH_ID, events.watch_id as u64);
    let mut count = 0;
    for event in events.wanted {
        put_event(out, event, events.previous);
        count += 1;
    }
    if count == 0 {
        out.truncate(start);
    } else {
        write_prefix(&mut out[start..]);
    }
    count
}

/// As [`put_events`], but in frames of less than `limit` bytes (or of one event), all but the last
/// with the flag `fragment`, if one frame would not be.
pub(crate) fn put_fragments(out: &mut BytesMut, events: Events<'_>, limit: usize) -> usize {
    let wanted: Vec<&Event> = events.wanted.collect();
    let mut id = BytesMut::new();
    put_number(&mut id, TAG_WATCH_ID, events.watch_id as u64);
    let fixed = events.header.len() + id.len();
    let field = |event: &&Event| slice_bytes(event_bytes(event, events.previous));
    let total = fixed + wanted.iter().map(field).sum::<usize>();
    let mut put = |events_of_frame: &[&Event], fragment: bool| {
        let start = begin(out, events.header);
        out.extend_from_slice(&id);
        put_number(out, TAG_FRAGMENT, u64::from(fragment));
        events_of_frame
            .iter()
            .for_each(|event| put_event(out, event, events.previous));
        write_prefix(&mut out[start..]);
    };
    if wanted.is_empty() {
        return 0;
    }
    if total < limit || wanted.len() < 2 {
        put(&wanted, false);
        return wanted.len();
    }
    let mut rest = wanted.as_slice();
    while !rest.is_empty() {
        let mut bytes = fixed + FRAGMENT_BYTES;
        let mut fits = |event: &&Event| {
            bytes += field(event);
            bytes < limit
        };
        let taken = rest
            .iter()
            .map_while(|event| fits(event).then_some(()))
            .count()
            .max(1);
        let (now, later) = rest.split_at(taken);
        put(now, !later.is_empty());
        rest = later;
    }
    wanted.len()
}

/// The facts with another revision.
pub(crate) fn at(facts: &Facts, revision: Revision) -> Facts {
    Facts { revision, ..*facts }
}

fn begin(out: &mut BytesMut, header: &Header) -> usize {
    let start = out.len();
    out.put_bytes(0, PREFIX_BYTES);
    out.extend_from_slice(header.as_slice());
    start
}

fn event_bytes(event: &Event, previous: Previous) -> usize {
    let kind = if event.record.is_tombstone() { 2 } else { 0 };
    let previous = match (previous, &event.previous) {
        (Previous::Sent, Some(record)) => slice_bytes(record.encoded().len()),
        (Previous::Sent, None) | (Previous::Left, _) => 0,
    };
    kind + slice_bytes(event.record.encoded().len()) + previous
}

fn put_event(out: &mut BytesMut, event: &Event, previous: Previous) {
    out.put_u8(TAG_EVENTS);
    put_varint(out, event_bytes(event, previous) as u64);
    if event.record.is_tombstone() {
        out.put_slice(&[TAG_TYPE, TYPE_DELETE]);
    }
    put_slice(out, TAG_KV, event.record.encoded());
    if let (Previous::Sent, Some(record)) = (previous, &event.previous) {
        put_slice(out, TAG_PREV_KV, record.encoded());
    }
}
