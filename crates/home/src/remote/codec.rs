//! A gRPC codec that leaves messages as the bytes they are.
//!
//! Owns the step between a message's bytes and a gRPC frame: going out they are copied once, into
//! the frame; coming in they are a slice of the buffer they were read into. Knows no protobuf.

use bytes::{Buf, BufMut, Bytes};
use tonic::{
    Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

/// Room a call's buffer starts with: most requests and answers of one key fit, so that they cost
/// one allocation; a larger message reserves exactly what it needs.
const BUFFER_BYTES: usize = 4 << 10;

/// Queued frames of a stream are handed on together up to so many bytes: 4 HTTP/2 frames of the
/// usual 16 KiB.
const YIELD_BYTES: usize = 64 << 10;

/// Message = [`Bytes`], both ways, for a client's side and a server's.
#[derive(Clone, Copy, Debug, Default)]
pub struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        frame.reserve(message.len());
        frame.put_slice(&message);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(frame.copy_to_bytes(frame.remaining())))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}
