//! The newest batches of the log, bounded in bytes, as whole groups: what readers resume from.
//!
//! Invariant: from any place that [`Window::seek`] gives, what [`Window::read`] delivers begins at a
//! start (or right after what the reader has), and holds every revision from the wanted one on.
//! For that, each group begins no later than one after where the group before it ends. The position
//! never goes back. Who reads, and over what, is not known here.

mod group;

use std::collections::VecDeque;

use meridian_keyspace::Revision;

use self::group::Group;
use crate::{Batch, Codec, Epoch, GroupId, Position, batch::Member};

/// What became of a batch that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The window holds it.
    Next,
    /// It was known, and nothing needs it to be decoded: it is dropped.
    Duplicate,
}

/// Why the window cannot take a batch; it is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The window stands nowhere yet: position it.
    #[error("the window was not positioned")]
    Unpositioned,
    /// It is of an epoch that is over: whoever sent it has not heard.
    #[error("a batch of epoch {found}, which is over: it is {now}")]
    OlderEpoch {
        /// Its epoch.
        found: Epoch,
        /// The window's.
        now: Epoch,
    },
    /// A new epoch has begun: position the window in it.
    #[error("a batch of epoch {found}, here it is still {now}")]
    NewerEpoch {
        /// Its epoch.
        found: Epoch,
        /// The window's.
        now: Epoch,
    },
    /// Revisions are missing before it: resume from the window's position.
    #[error("revision {first} arrived where {due} was due")]
    Gap {
        /// The revision that is due.
        due: Revision,
        /// The first that it holds.
        first: Revision,
    },
    /// It continues a group that the window does not stand in, or not here: resume.
    #[error("a batch continues a group that is not at hand")]
    NotAligned,
}

/// Why the log cannot be read from a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeekError {
    /// The window stands nowhere yet.
    #[error("the window was not positioned")]
    Unpositioned,
    /// That is gone: a snapshot or the home's history is needed.
    #[error("the window begins at revision {first}")]
    Before {
        /// The first revision that can be read.
        first: Revision,
    },
    /// That is not due yet: the reader knows more than this window.
    #[error("the window is at the revision before {due}")]
    Ahead {
        /// The revision that is due.
        due: Revision,
    },
}

/// What a cursor stood at is gone: seek again, from the position that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the window has moved past the reader")]
pub struct Lost;

/// A place between two batches of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    serial: u64,
    index: usize,
}

/// The newest batches of the log.
#[derive(Debug)]
pub struct Window {
    limit_bytes: usize,
    bytes: usize,
    at: Option<Position>,
    groups: VecDeque<Group>,
    /// Of the next group.
    serial: u64,
    /// Where a cursor may stand that has read everything before the first group.
    origin: Cursor,
}

impl Window {
    /// An unpositioned window. Over `limit_bytes`, which count each batch's frame and its header in
    /// memory, it gives up its oldest groups; the newest one it keeps even if that alone is over
    /// (an encoder bounds its groups, so that happens only with a limit below a group).
    pub const fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            bytes: 0,
            at: None,
            groups: VecDeque::new(),
            serial: 1,
            origin: Cursor {
                serial: 0,
                index: 0,
            },
        }
    }

    /// Empties it and lets it begin after this position. All cursors are lost.
    pub fn position(&mut self, position: Position) {
        self.groups.clear();
        self.bytes = 0;
        self.at = Some(position);
        self.origin = Cursor {
            serial: self.next_serial(),
            index: 0,
        };
    }

    /// What it has: everything up to here, as far as it reaches back. None before it is positioned.
    pub const fn at(&self) -> Option<Position> {
        self.at
    }

    /// The first revision that can be read from it; the one that is due if it is empty.
    pub fn first(&self) -> Option<Revision> {
        let due = self.at?.revision.next();
        let first = self.groups.iter().map(Group::first).min();
        Some(first.unwrap_or(due))
    }

    /// Bytes that it holds.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest group and how many of its batches are here: what a resume can name as had.
    pub fn tail(&self) -> Option<(GroupId, u32)> {
        let newest = self.groups.back()?;
        Some((newest.id(), newest.len() as u32))
    }

    /// Takes a batch in, if it follows.
    ///
    /// A start may begin at or before what is due: it opens a group, whose batches are kept even
    /// where they are known, since what follows them is decoded with them. If another group opens before
    /// such a one has come to the window's position, it is given up, with the cursors in it.
    ///
    /// # Errors
    /// [`PushError`]; nothing has changed then.
    pub fn push(&mut self, batch: Batch) -> Result<Pushed, PushError> {
        let at = self.at.ok_or(PushError::Unpositioned)?;
        let (found, now) = (batch.epoch(), at.epoch);
        if found < now {
            return Err(PushError::OlderEpoch { found, now });
        }
        if found > now {
            return Err(PushError::NewerEpoch { found, now });
        }
        let (due, first) = (at.revision.next(), batch.first());
        if first > due {
            return Err(PushError::Gap { due, first });
        }
        match batch.member() {
            Member::Start(id) => Ok(self.push_start(id, at, batch)),
            Member::Continues(tag) => self.push_continuing(tag, at, batch),
        }
    }

    fn push_start(&mut self, id: GroupId, at: Position, batch: Batch) -> Pushed {
        let known = batch.last() <= at.revision;
        let needed = match batch.codec() {
            Codec::None | Codec::Zstd => !known,
            // The newest group come again, from its start.
            Codec::Continuous => self.groups.back().is_none_or(|newest| newest.id() != id),
        };
        if !needed {
            return Pushed::Duplicate;
        }
        let left_behind = |group: &mut Group| group.last() < at.revision;
        if let Some(group) = self.groups.pop_back_if(left_behind) {
            self.bytes -= group.bytes();
        }
        let serial = self.next_serial();
        self.groups.push_back(Group::new(serial, id, batch.clone()));
        self.advance(&batch, at);
        Pushed::Next
    }

    fn push_continuing(
        &mut self,
        tag: u32,
        at: Position,
        batch: Batch,
    ) -> Result<Pushed, PushError> {
        match self.groups.back_mut() {
            Some(newest) if newest.continued_by(tag, &batch) => {
                newest.push(batch.clone());
                self.advance(&batch, at);
                Ok(Pushed::Next)
            }
            // Of the newest group, or of one that is not gone on with any more.
            Some(newest) if newest.id().tag() != tag || batch.last() <= newest.last() => {
                known(&batch, at)
            }
            None => known(&batch, at),
            Some(_) => Err(PushError::NotAligned),
        }
    }

    fn advance(&mut self, batch: &Batch, at: Position) {
        self.bytes += group::held_bytes(batch);
        self.at = Some(Position {
            revision: at.revision.max(batch.last()),
            ..at
        });
        while self.bytes > self.limit_bytes && self.groups.len() > 1 {
            let Some(group) = self.groups.pop_front() else {
                return;
            };
            self.bytes -= group.bytes();
            self.origin = group.end();
        }
    }

    /// The place to read from for a reader that wants `from` next, and `have`: how many batches of
    /// which group it has already, if any. At the end of the log that is where its newest group
    /// begins, if that is needed to decode what will come.
    ///
    /// # Errors
    /// [`SeekError`] if it cannot be read from there.
    pub fn seek(&self, from: Revision, have: Option<(GroupId, u32)>) -> Result<Cursor, SeekError> {
        let at = self.at.ok_or(SeekError::Unpositioned)?;
        let due = at.revision.next();
        if from > due {
            return Err(SeekError::Ahead { due });
        }
        if let Some(cursor) = have.and_then(|have| self.resume(from, have)) {
            return Ok(cursor);
        }
        let Some(newest) = self.groups.back() else {
            return match from == due {
                true => Ok(self.origin),
                false => Err(SeekError::Before { first: due }),
            };
        };
        let holds = |group: &&Group| group.first() <= from && from <= group.last();
        if let Some(group) = self.groups.iter().rev().find(holds) {
            return Ok(group.beginning());
        }
        // It comes with the newest group, once that is there.
        if from == due && newest.complete() {
            return Ok(newest.end());
        }
        if newest.first() <= from {
            return Ok(newest.beginning());
        }
        Err(SeekError::Before {
            first: self.first().unwrap_or(due),
        })
    }

    /// Right after what the reader has, if what comes there goes on to `from` without a gap and is
    /// not longer ago than the group that holds it.
    fn resume(&self, from: Revision, (id, count): (GroupId, u32)) -> Option<Cursor> {
        let index = usize::try_from(count).ok()?;
        let newest = self.groups.back()?.serial();
        let group = self.groups.iter().rev().find(|group| {
            let reaches = group.serial() == newest || from <= group.last();
            let had = index
                .checked_sub(1)
                .and_then(|last| group.batches().get(last));
            group.id() == id && reaches && had.is_some_and(|had| had.last() < from)
        })?;
        Some(Cursor {
            serial: group.serial(),
            index,
        })
    }

    /// Appends what stands at the cursor, up to `bytes_max` of frames but one batch at least, and moves
    /// the cursor past it; nothing if it is at the end.
    ///
    /// # Errors
    /// [`Lost`] if that was given up.
    pub fn read(
        &self,
        cursor: &mut Cursor,
        bytes_max: usize,
        into: &mut Vec<Batch>,
    ) -> Result<(), Lost> {
        let (mut group, mut index) = self.find(*cursor).ok_or(Lost)?;
        let mut bytes = 0;
        while let Some(current) = self.groups.get(group) {
            for batch in &current.batches()[index..] {
                bytes += batch.frame().len();
                if bytes > bytes_max && bytes > batch.frame().len() {
                    return Ok(());
                }
                into.push(batch.clone());
                index += 1;
                *cursor = Cursor {
                    serial: current.serial(),
                    index,
                };
            }
            (group, index) = (group + 1, 0);
        }
        Ok(())
    }

    /// Which group the cursor stands in, and at which of its batches.
    fn find(&self, cursor: Cursor) -> Option<(usize, usize)> {
        if cursor == self.origin {
            return Some((0, 0));
        }
        let group = self
            .groups
            .binary_search_by_key(&cursor.serial, Group::serial)
            .ok()?;
        let batches = self.groups[group].len();
        assert!(cursor.index <= batches, "a group only grows");
        Some((group, cursor.index))
    }

    const fn next_serial(&mut self) -> u64 {
        let serial = self.serial;
        self.serial += 1;
        serial
    }
}

/// A batch that is not needed for what follows it: nothing new in it may be passed over.
fn known(batch: &Batch, at: Position) -> Result<Pushed, PushError> {
    if batch.last() <= at.revision {
        Ok(Pushed::Duplicate)
    } else {
        Err(PushError::NotAligned)
    }
}

#[cfg(test)]
mod tests;
