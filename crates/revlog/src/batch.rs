//! A batch: some whole revisions of the log in one frame, coded once and passed on as the same bytes
//! by every node.
//!
//! Invariant: a [`Batch`] is a frame whose checksum and header hold; only its payload is still to be
//! believed, by a [`Decoder`](crate::Decoder). Cloning shares the bytes.
//!
//! Body of the frame (flags: two bits codec, one bit start): varints epoch, first revision, last less
//! first, events; 8 bytes of group id if it starts one, else the lower 4 of them; varint raw length;
//! the coded payload.

use bytes::Bytes;
use meridian_keyspace::Revision;

use crate::{
    Codec, Epoch, FrameError, GroupId, PayloadError,
    frame::{self, FRAME_BYTES_MAX, Kind},
    number::{Reader, Wrong, put_varint},
    payload::EVENT_BYTES_MIN,
};

/// The longest payload before coding; as long as the longest frame, so that what cannot be
/// compressed fits too (a reader refuses more, and needs a snapshot).
pub const RAW_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES_MAX;

/// Prefix 14, five varints of 10, group 8, checksum 4, rounded up.
const HEADER_BYTES_MAX: usize = 128;

const FLAG_START: u8 = 0b100;
const FLAG_CODEC: u8 = 0b011;

/// Why bytes are no batch, or no commits come out of one. The stream it came from is of no use any
/// more: take the log again from the position that is held.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It is no frame, or was changed on its way.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its header says what cannot be.
    #[error("the header of a batch is wrong: {reason}")]
    Header {
        /// What is wrong.
        reason: &'static str,
    },
    /// It continues a group whose batch before it was not decoded here.
    #[error("a batch needs the batches of its group before it")]
    NotAligned,
    /// Its payload cannot be decompressed to what the header says.
    #[error("a payload cannot be decompressed: {reason}")]
    Compression {
        /// What is wrong.
        reason: &'static str,
    },
    /// Its payload is not what the header says.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

/// Some whole revisions of the log, coded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    head: Head,
    frame: Bytes,
    payload_at: usize,
}

/// How a batch stands to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// It begins the group.
    Start(GroupId),
    /// It continues the group with this tag.
    Continues(u32),
}

impl Member {
    pub(crate) const fn tag(self) -> u32 {
        match self {
            Self::Start(group) => group.tag(),
            Self::Continues(tag) => tag,
        }
    }
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) epoch: Epoch,
    pub(crate) first: Revision,
    pub(crate) last: Revision,
    pub(crate) events: u32,
    pub(crate) codec: Codec,
    pub(crate) member: Member,
    pub(crate) raw_len: u64,
}

impl Batch {
    /// Reads a whole frame, and checks everything but the content of its payload.
    ///
    /// # Errors
    /// [`BatchError::Frame`] or [`BatchError::Header`].
    pub fn parse(frame: Bytes) -> Result<Self, BatchError> {
        let opened = frame::open(Kind::BATCH, &frame)?;
        let (head, head_bytes) = Head::parse(opened.flags, opened.body)?;
        let payload_at = opened.body_at + head_bytes;
        Ok(Self {
            head,
            payload_at,
            frame,
        })
    }

    /// Seals a coded payload. `scratch` is overwritten.
    pub(crate) fn seal(head: Head, payload: &[u8], scratch: &mut Vec<u8>) -> Self {
        scratch.clear();
        head.put(scratch);
        let frame = frame::seal(Kind::BATCH, head.flags(), scratch, payload);
        let payload_at = frame.len() - frame::CHECKSUM_BYTES - payload.len();
        Self {
            head,
            payload_at,
            frame,
        }
    }

    /// The epoch of all its revisions.
    pub const fn epoch(&self) -> Epoch {
        self.head.epoch
    }

    /// Its first revision.
    pub const fn first(&self) -> Revision {
        self.head.first
    }

    /// Its last revision; it holds every one from the first on.
    pub const fn last(&self) -> Revision {
        self.head.last
    }

    /// Events of all its revisions together.
    pub const fn events(&self) -> u32 {
        self.head.events
    }

    /// How it is coded.
    pub const fn codec(&self) -> Codec {
        self.head.codec
    }

    /// The group that it begins; none if it continues one.
    pub const fn start(&self) -> Option<GroupId> {
        match self.head.member {
            Member::Start(group) => Some(group),
            Member::Continues(_) => None,
        }
    }

    /// Bytes of its payload before it was coded.
    pub const fn raw_len(&self) -> u64 {
        self.head.raw_len
    }

    /// The whole frame, as it travels.
    pub const fn frame(&self) -> &Bytes {
        &self.frame
    }

    pub(crate) const fn member(&self) -> Member {
        self.head.member
    }

    /// The coded payload.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.frame[self.payload_at..self.frame.len() - frame::CHECKSUM_BYTES]
    }
}

const fn header(reason: &'static str) -> BatchError {
    BatchError::Header { reason }
}

impl From<Wrong> for BatchError {
    fn from(wrong: Wrong) -> Self {
        header(wrong.reason())
    }
}

impl Head {
    const fn flags(&self) -> u8 {
        match self.member {
            Member::Start(_) => self.codec.wire() | FLAG_START,
            Member::Continues(_) => self.codec.wire(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.epoch.get());
        put_varint(out, self.first.get() as u64);
        put_varint(out, (self.last.get() - self.first.get()) as u64);
        put_varint(out, self.events.into());
        match self.member {
            Member::Start(group) => out.extend_from_slice(&group.get().to_le_bytes()),
            Member::Continues(tag) => out.extend_from_slice(&tag.to_le_bytes()),
        }
        put_varint(out, self.raw_len);
    }

    /// The header at the front of a body, and how long it is.
    fn parse(flags: u8, body: &[u8]) -> Result<(Self, usize), BatchError> {
        if flags & !(FLAG_START | FLAG_CODEC) != 0 {
            return Err(header("unknown flags"));
        }
        let codec = Codec::from_wire(flags & FLAG_CODEC).ok_or(header("unknown codec"))?;
        let mut reader = Reader::new(body);
        let epoch = Epoch::new(reader.varint()?);
        let (first, span) = (reader.varint()?, reader.varint()?);
        let events = u32::try_from(reader.varint()?).map_err(|_| header("too many events"))?;
        let member = if flags & FLAG_START != 0 {
            Member::Start(GroupId::new(u64::from_le_bytes(reader.array()?)))
        } else {
            Member::Continues(u32::from_le_bytes(reader.array()?))
        };
        let raw_len = reader.varint()?;
        let head = Self {
            epoch,
            first: revision(Some(first))?,
            last: revision(first.checked_add(span))?,
            events,
            codec,
            member,
            raw_len,
        };
        head.check(reader.left())?;
        Ok((head, reader.at()))
    }

    fn check(&self, coded_len: usize) -> Result<(), BatchError> {
        let revisions = (self.last.get() - self.first.get()) as u64 + 1;
        // Each revision has a count of its events, and at least one.
        let least = u64::from(self.events) * EVENT_BYTES_MIN as u64;
        if u64::from(self.events) < revisions {
            return Err(header("fewer events than revisions"));
        }
        if self.raw_len > RAW_BYTES_MAX as u64 {
            return Err(header("the payload is longer than it may be"));
        }
        if least.saturating_add(revisions) > self.raw_len {
            return Err(header("more events than the payload has bytes for"));
        }
        match (self.codec, self.member) {
            (Codec::None, Member::Start(_)) if self.raw_len != coded_len as u64 => {
                Err(header("the length of an uncoded payload is not its length"))
            }
            (Codec::None | Codec::Zstd, Member::Continues(_)) => {
                Err(header("a codec without groups continues one"))
            }
            (Codec::None | Codec::Zstd | Codec::Continuous, Member::Start(_))
            | (Codec::Continuous, Member::Continues(_)) => Ok(()),
        }
    }
}

/// A revision that was committed: above zero, below what would end all counting.
fn revision(number: Option<u64>) -> Result<Revision, BatchError> {
    let number = number.and_then(|number| i64::try_from(number).ok());
    let number = number.filter(|number| (1..i64::MAX).contains(number));
    Ok(Revision::new(number.ok_or(header("not a revision"))?))
}

#[cfg(test)]
mod tests;
