//! Chunks of a snapshot: records in frames that are compressed each on its own, so that an
//! interrupted snapshot goes on after the last whole one.
//!
//! Invariant: a record is never split. Which snapshot a chunk belongs to, and which keys come next,
//! is told beside it, not in it.
//!
//! Body of the frame: varint count of records, varint raw length, zstd frame; raw is each record's
//! length and encoded `KeyValue`.

use bytes::Bytes;
use meridian_keyspace::Record;

use crate::{
    FrameError, PayloadError,
    frame::{self, CHUNK_BYTES_MAX, Kind},
    number::{Reader, Wrong, put_varint},
    payload::{self, EVENT_BYTES_MIN},
    reader::Splitter,
    zstandard::{Compressor, Decompressor, End},
};

/// What to aim at with the records of one chunk, before coding: what is lost by an interruption, and
/// 8 ms of a link of 1 Gbit/s even if nothing can be compressed.
pub const CHUNK_RAW_BYTES: usize = 256 << 10;

/// Fast: a snapshot is coded anew for each joiner, beside the relay's other work (decision 0006).
const LEVEL: i32 = 1;

/// Buffers that one chunk has blown up beyond this are given back after it.
const SCRATCH_BYTES_MAX: usize = 2 * CHUNK_RAW_BYTES;

/// How many of these records to put into the next chunk: at least one, and not more than
/// [`CHUNK_RAW_BYTES`] before coding.
pub fn chunk_records(records: &[Record]) -> usize {
    let mut bytes = 0;
    let fits = records.iter().take_while(|record| {
        bytes += payload::record_bytes(record);
        bytes <= CHUNK_RAW_BYTES
    });
    fits.count().max(1).min(records.len())
}

/// Why bytes are no chunk. Ask for the snapshot again, from the last chunk that was whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// It is no frame, or was changed on its way.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Its header says what cannot be.
    #[error("the header of a chunk is wrong: {reason}")]
    Header {
        /// What is wrong.
        reason: &'static str,
    },
    /// It cannot be decompressed to what the header says.
    #[error("a chunk cannot be decompressed: {reason}")]
    Compression {
        /// What is wrong.
        reason: &'static str,
    },
    /// Its records are not what the header says.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl From<Wrong> for ChunkError {
    fn from(wrong: Wrong) -> Self {
        header(wrong.reason())
    }
}

const fn header(reason: &'static str) -> ChunkError {
    ChunkError::Header { reason }
}

/// Codes records into chunks.
pub struct ChunkEncoder {
    compressor: Compressor,
    raw: Vec<u8>,
    coded: Vec<u8>,
}

impl ChunkEncoder {
    /// An encoder; it keeps its buffers from chunk to chunk.
    pub fn new() -> Self {
        Self {
            compressor: Compressor::new(LEVEL, 0),
            raw: Vec::new(),
            coded: Vec::new(),
        }
    }

    /// The frame of these records; there may be none. [`chunk_records`] tells how many to give.
    pub fn encode(&mut self, records: &[Record]) -> Bytes {
        self.raw.clear();
        self.raw.reserve(payload::records_bytes(records));
        for record in records {
            payload::put_record(&mut self.raw, record);
        }
        self.compressor.reset();
        self.compressor
            .compress(&self.raw, End::Frame, &mut self.coded);
        let mut head = Vec::new();
        put_varint(&mut head, records.len() as u64);
        put_varint(&mut head, self.raw.len() as u64);
        let frame = frame::seal(Kind::CHUNK, 0, &head, &self.coded);
        for buffer in [&mut self.raw, &mut self.coded] {
            buffer.clear();
            buffer.shrink_to(SCRATCH_BYTES_MAX);
        }
        frame
    }
}

impl Default for ChunkEncoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Decodes chunks to records.
pub struct ChunkDecoder {
    decompressor: Decompressor,
    raw: Vec<u8>,
}

impl ChunkDecoder {
    /// A decoder; it keeps its buffer from chunk to chunk.
    pub fn new() -> Self {
        Self {
            decompressor: Decompressor::new(),
            raw: Vec::new(),
        }
    }

    /// The records of a whole frame.
    ///
    /// # Errors
    /// [`ChunkError`]; the next chunk can be decoded all the same.
    pub fn decode(&mut self, frame: &[u8]) -> Result<Vec<Record>, ChunkError> {
        let opened = frame::open(Kind::CHUNK, frame)?;
        if opened.flags != 0 {
            return Err(header("unknown flags"));
        }
        let mut body = Reader::new(opened.body);
        let (count, raw_len) = (body.varint()?, body.varint()?);
        let raw_len = usize::try_from(raw_len).unwrap_or(usize::MAX);
        if raw_len > CHUNK_BYTES_MAX {
            return Err(header("the chunk is longer than it may be"));
        }
        let most = raw_len / EVENT_BYTES_MIN;
        let count = usize::try_from(count).ok().filter(|count| *count <= most);
        let count = count.ok_or(header("more records than the chunk has bytes for"))?;
        self.decompressor.reset();
        self.decompressor
            .decompress(body.bytes(body.left())?, raw_len, &mut self.raw)
            .map_err(|reason| ChunkError::Compression { reason })?;
        let records = parse(&self.raw, count)?;
        self.raw.clear();
        self.raw.shrink_to(SCRATCH_BYTES_MAX);
        Ok(records)
    }
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self::new()
    }
}

fn parse(raw: &[u8], count: usize) -> Result<Vec<Record>, PayloadError> {
    let mut reader = Reader::new(raw);
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        records.push(payload::parse_record(&mut reader)?);
    }
    if reader.left() > 0 {
        return Err(payload::wrong(
            &reader,
            "there is more after the last record",
        ));
    }
    Ok(records)
}

/// Cuts a stream of bytes into the frames of chunks, as [`FrameReader`](crate::FrameReader) does for
/// batches.
#[derive(Debug)]
pub struct ChunkReader(Splitter);

impl ChunkReader {
    /// At the beginning of a stream, or between two chunks of it.
    pub const fn new() -> Self {
        Self(Splitter::new(Kind::CHUNK))
    }

    /// Takes bytes that arrived.
    pub fn push(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    /// Bytes that were pushed and are in no frame yet.
    pub fn buffered(&self) -> usize {
        self.0.buffered()
    }

    /// The next frame, for a [`ChunkDecoder`], if it has arrived whole.
    ///
    /// # Errors
    /// If no frame of a chunk stands here; the same again from then on.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator ends, this goes on after the next push"
    )]
    pub fn next(&mut self) -> Result<Option<Bytes>, ChunkError> {
        Ok(self.0.next()?)
    }
}

impl Default for ChunkReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
