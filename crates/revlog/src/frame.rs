//! The frame that everything of ours travels in: magic, version, flags, the length of the rest, a
//! body, CRC32C of all before it.
//!
//! Invariant: a frame that [`open`] lets pass is whole and as it was sealed. Nothing is allocated by
//! a claimed length. What a body means is not known here.

use bytes::Bytes;

use crate::number::{Reader, VARINT_BYTES_MAX, Wrong, put_varint, varint_bytes};

/// The longest frame of a batch. One revision is never split. etcd's default limit of a request is
/// 1.5 MiB, but a delete of a prefix writes a tombstone of some 60 bytes for each key: a million keys
/// are 60 MiB, so this is a delete of four million keys in one revision.
pub const FRAME_BYTES_MAX: usize = 256 << 20;

/// The longest frame of a snapshot's chunk, and of a list of changes: the aim of a chunk is 1 MiB,
/// one record is never split, and etcd advises against requests above 10 MiB.
pub const CHUNK_BYTES_MAX: usize = 64 << 20;

/// A body that is ready is allocated at once up to this size; beyond it, as it arrives.
pub(crate) const AHEAD_BYTES_MAX: usize = 64 << 10;

/// Magic, version, flags.
const FIXED_BYTES: usize = 4;
pub(crate) const CHECKSUM_BYTES: usize = 4;
/// A frame is told by its first bytes: the fixed ones and the length of the rest.
pub(crate) const PREFIX_BYTES_MAX: usize = FIXED_BYTES + VARINT_BYTES_MAX;

/// What kind of frame is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    magic: [u8; 2],
    version: u8,
    pub(crate) bytes_max: usize,
}

impl Kind {
    /// A batch of the log.
    pub(crate) const BATCH: Self = Self::of(*b"mB", FRAME_BYTES_MAX);
    /// A chunk of a snapshot.
    pub(crate) const CHUNK: Self = Self::of(*b"mC", CHUNK_BYTES_MAX);
    /// A list of changes.
    pub(crate) const CHANGES: Self = Self::of(*b"mH", FRAME_BYTES_MAX);

    const fn of(magic: [u8; 2], bytes_max: usize) -> Self {
        Self {
            magic,
            version: 1,
            bytes_max,
        }
    }
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// They end too early.
    #[error("a frame ends too early, after {bytes} bytes")]
    Truncated {
        /// How many bytes there are.
        bytes: usize,
    },
    /// They begin with something else.
    #[error("no frame begins here (found {found:02x?})")]
    Magic {
        /// What is there.
        found: [u8; 2],
    },
    /// A version that this build does not read.
    #[error("a frame of version {found}; this build reads version 1: upgrade it")]
    Version {
        /// The version.
        found: u8,
    },
    /// The length of the rest is no number.
    #[error("the length of a frame is no number")]
    Length,
    /// Longer than a frame may be.
    #[error("a frame of {bytes} bytes, where {bytes_max} are the most")]
    TooLong {
        /// How long.
        bytes: u64,
        /// The most.
        bytes_max: usize,
    },
    /// There are bytes after its end.
    #[error("{bytes} bytes after the end of a frame")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The bytes were changed on their way.
    #[error("the checksum of a frame is {found:08x}, its bytes make {made:08x}")]
    Checksum {
        /// What the frame says.
        found: u32,
        /// What its bytes make.
        made: u32,
    },
}

/// A frame of these flags and this body, given in two parts; exactly one allocation.
pub(crate) fn seal(kind: Kind, flags: u8, head: &[u8], payload: &[u8]) -> Bytes {
    let rest = head.len() + payload.len() + CHECKSUM_BYTES;
    let mut frame = Vec::with_capacity(FIXED_BYTES + varint_bytes(rest as u64) + rest);
    frame.extend_from_slice(&kind.magic);
    frame.extend_from_slice(&[kind.version, flags]);
    put_varint(&mut frame, rest as u64);
    frame.extend_from_slice(head);
    frame.extend_from_slice(payload);
    let checksum = crc32c::crc32c(&frame);
    frame.extend_from_slice(&checksum.to_le_bytes());
    frame.into()
}

/// The length of the whole frame that begins with these bytes; none if they are too few to tell.
pub(crate) fn length(kind: Kind, bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES>() else {
        return Ok(None);
    };
    let [first, second, version, _flags] = *fixed;
    if [first, second] != kind.magic {
        return Err(FrameError::Magic {
            found: [first, second],
        });
    }
    if version != kind.version {
        return Err(FrameError::Version { found: version });
    }
    let mut reader = Reader::new(&bytes[FIXED_BYTES..]);
    let rest = match reader.varint() {
        Ok(rest) => rest,
        Err(Wrong::Truncated) => return Ok(None),
        Err(Wrong::Number) => return Err(FrameError::Length),
    };
    let before = FIXED_BYTES + reader.at();
    let whole = rest.saturating_add(before as u64);
    match usize::try_from(whole) {
        Ok(whole) if whole <= kind.bytes_max => Ok(Some(whole)),
        Ok(_) | Err(_) => Err(FrameError::TooLong {
            bytes: whole,
            bytes_max: kind.bytes_max,
        }),
    }
}

/// A frame taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) flags: u8,
    pub(crate) body: &'a [u8],
    /// Where the body begins in the frame.
    pub(crate) body_at: usize,
}

/// Takes a whole frame apart, after checking all of it.
pub(crate) fn open(kind: Kind, frame: &[u8]) -> Result<Opened<'_>, FrameError> {
    let truncated = FrameError::Truncated { bytes: frame.len() };
    let whole = length(kind, frame)?.ok_or(truncated)?;
    if frame.len() < whole {
        return Err(truncated);
    }
    if frame.len() > whole {
        return Err(FrameError::Trailing {
            bytes: frame.len() - whole,
        });
    }
    let mut prefix = Reader::new(&frame[FIXED_BYTES..]);
    prefix.varint().map_err(|_| FrameError::Length)?;
    let body_at = FIXED_BYTES + prefix.at();
    let (checked, checksum) = frame
        .split_last_chunk::<CHECKSUM_BYTES>()
        .filter(|(checked, _)| checked.len() >= body_at)
        .ok_or(truncated)?;
    let (found, made) = (u32::from_le_bytes(*checksum), crc32c::crc32c(checked));
    if found != made {
        return Err(FrameError::Checksum { found, made });
    }
    Ok(Opened {
        flags: frame[3],
        body: &checked[body_at..],
        body_at,
    })
}

#[cfg(test)]
mod tests;
