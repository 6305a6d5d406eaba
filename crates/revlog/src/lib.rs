//! The revision log: positions, the batches it travels in, the window of them that a process keeps,
//! the rules for what may follow what, and the [`Feed`] that a replica drinks from.
//!
//! Invariant: what passes [`Continuity`] is contiguous and each revision passes once; bytes of a peer
//! never panic, and cost no more memory than they bring. Pure; it knows no transport and no keyspace
//! beyond the commits it carries.

mod batch;
mod changes;
mod chunk;
mod codec;
mod continuity;
mod decoder;
mod encoder;
mod feed;
mod frame;
mod number;
mod payload;
mod position;
mod reader;
#[cfg(test)]
mod sample;
mod window;
mod zstandard;

pub use batch::{Batch, BatchError, RAW_BYTES_MAX};
pub use changes::{ChangesError, decode_changes, encode_changes};
pub use chunk::{
    CHUNK_RAW_BYTES, ChunkDecoder, ChunkEncoder, ChunkError, ChunkReader, chunk_records,
};
pub use codec::{Codec, GroupId};
pub use continuity::{Continuity, Gap, Verdict};
pub use decoder::Decoder;
pub use encoder::{BATCH_RAW_BYTES, Encoder, EncoderConfig, batch_commits};
pub use feed::{Feed, FeedError, FeedPages, FeedSnapshot};
pub use frame::{CHUNK_BYTES_MAX, FRAME_BYTES_MAX, FrameError};
pub use payload::PayloadError;
pub use position::{Epoch, Position};
pub use reader::FrameReader;
pub use window::{Cursor, Lost, PushError, Pushed, SeekError, Window};
