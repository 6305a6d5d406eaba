//! Lists of applied changes, as one relay tells another what happened in a range.
//!
//! Invariant: revisions rise and none is above the revision up to which the list is complete; each
//! event's record carries the revision it stands in. Lists are short and come one per answer, so they are not compressed.
//!
//! Body of the frame: varint complete-to, varint count; per change varint revision less the one
//! before it, varint count of events; per event a byte (1 if a previous record follows) and the
//! records, each with its length.

use bytes::Bytes;
use meridian_keyspace::{Change, Event, Record, Revision};

use crate::{
    FrameError, PayloadError,
    frame::{self, Kind},
    number::{Reader, put_varint},
    payload::{self, EVENT_BYTES_MIN, number, wrong},
};

/// A revision, a count, and one event with its flag.
const CHANGE_BYTES_MIN: usize = 3 + EVENT_BYTES_MIN;

const ALONE: u8 = 0;
const WITH_PREVIOUS: u8 = 1;

/// Why bytes are no list of changes. Ask again from the last revision that is held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// It is no frame, or was changed on its way.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its flags are not known.
    #[error("unknown flags {0:#x} of a list of changes")]
    Flags(u8),
    /// Its content is wrong.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// The frame of these changes, all there are up to `complete_to`.
///
/// # Panics
/// If revisions do not rise, are not above zero, or one is above `complete_to`.
pub fn encode_changes(changes: &[Change], complete_to: Revision) -> Bytes {
    let mut body = Vec::with_capacity(changes.iter().map(|c| 16 + c.bytes()).sum::<usize>() + 20);
    put_varint(&mut body, complete_to.get().max(0) as u64);
    put_varint(&mut body, changes.len() as u64);
    let mut before = Revision::ZERO;
    for change in changes {
        assert!(change.revision > before, "revisions of changes rise");
        put_varint(&mut body, (change.revision.get() - before.get()) as u64);
        put_varint(&mut body, change.events.len() as u64);
        for event in &change.events {
            put_event(&mut body, event);
        }
        before = change.revision;
    }
    assert!(
        before <= complete_to.max(Revision::ZERO),
        "complete to the last change"
    );
    frame::seal(Kind::CHANGES, 0, &body, &[])
}

fn put_event(body: &mut Vec<u8>, event: &Event) {
    body.push(match event.previous {
        Some(_) => WITH_PREVIOUS,
        None => ALONE,
    });
    payload::put_record(body, &event.record);
    if let Some(previous) = &event.previous {
        payload::put_record(body, previous);
    }
}

/// The changes of a whole frame, and the revision up to which they are all there are.
///
/// # Errors
/// [`ChangesError`].
pub fn decode_changes(frame: &[u8]) -> Result<(Vec<Change>, Revision), ChangesError> {
    let opened = frame::open(Kind::CHANGES, frame)?;
    if opened.flags != 0 {
        return Err(ChangesError::Flags(opened.flags));
    }
    Ok(parse(&mut Reader::new(opened.body))?)
}

fn parse(reader: &mut Reader<'_>) -> Result<(Vec<Change>, Revision), PayloadError> {
    let complete_to = revision_after(reader, Revision::ZERO)?;
    let count = bounded(reader, CHANGE_BYTES_MIN)?;
    let mut changes = Vec::with_capacity(count);
    let mut before = Revision::ZERO;
    for _ in 0..count {
        let revision = revision_after(reader, before)?;
        if revision <= before || revision > complete_to {
            return Err(wrong(reader, "a revision out of order"));
        }
        before = revision;
        changes.push(parse_change(reader, revision)?);
    }
    if reader.left() > 0 {
        return Err(wrong(reader, "there is more after the last change"));
    }
    Ok((changes, complete_to))
}

fn parse_change(reader: &mut Reader<'_>, revision: Revision) -> Result<Change, PayloadError> {
    let count = bounded(reader, 1 + EVENT_BYTES_MIN)?;
    if count == 0 {
        return Err(wrong(reader, "a change without events"));
    }
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        events.push(parse_event(reader, revision)?);
    }
    Ok(Change {
        revision,
        events: events.into(),
    })
}

fn parse_event(reader: &mut Reader<'_>, revision: Revision) -> Result<Event, PayloadError> {
    let flag = number(reader)?;
    let record = record_of(reader, revision)?;
    let previous = match u8::try_from(flag) {
        Ok(ALONE) => None,
        Ok(WITH_PREVIOUS) => Some(payload::parse_record(reader)?),
        Ok(_) | Err(_) => return Err(wrong(reader, "an unknown kind of event")),
    };
    Ok(Event { record, previous })
}

fn record_of(reader: &mut Reader<'_>, revision: Revision) -> Result<Record, PayloadError> {
    let record = payload::parse_record(reader)?;
    if record.mod_revision() != revision {
        return Err(wrong(reader, "a record of another revision"));
    }
    Ok(record)
}

fn revision_after(reader: &mut Reader<'_>, before: Revision) -> Result<Revision, PayloadError> {
    let more = i64::try_from(number(reader)?).ok();
    let revision = more.and_then(|more| before.get().checked_add(more));
    let revision = revision.ok_or_else(|| wrong(reader, "not a revision"))?;
    Ok(Revision::new(revision))
}

/// A count of things that take `bytes_min` at least.
fn bounded(reader: &mut Reader<'_>, bytes_min: usize) -> Result<usize, PayloadError> {
    let count = number(reader)?;
    let most = reader.left() / bytes_min;
    let count = usize::try_from(count).ok().filter(|count| *count <= most);
    count.ok_or_else(|| wrong(reader, "more than it has bytes for"))
}

#[cfg(test)]
mod tests;
