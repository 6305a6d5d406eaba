//! etcd's answers written by hand: header, then slices of records as the log delivered them.
//!
//! Owns the few protobuf primitives that takes and the one buffer an answer is written into.
//! Invariant: what is written here decodes to the message prost would have encoded, fields in
//! number order, zero fields left out. It knows no transport but gRPC's five-byte message prefix.

pub(crate) mod range;
pub(crate) mod watch;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use meridian_home::Facts;

/// gRPC's message prefix: one byte of flags, four of length.
pub(crate) const PREFIX_BYTES: usize = 5;

/// Longest encoding of a 64-bit varint.
const VARINT_BYTES_MAX: usize = 10;

/// Room left in front of a message for what is known last: the prefix, the header field's tag and
/// length (2), and the header's four numbers with their tags.
const ROOM_BYTES: usize = PREFIX_BYTES + 2 + 4 * (1 + VARINT_BYTES_MAX);

/// Field 1 of every answer: the header.
const TAG_HEADER: u8 = 0x0a;

/// One answer that opens with a header, written in one pass: the body first, the header and the
/// prefix into the room before it when the revision and the length are known.
pub(crate) struct Answer {
    bytes: BytesMut,
}

impl Answer {
    /// Room for a body of about `body_bytes`.
    pub(crate) fn with_capacity(body_bytes: usize) -> Self {
        let mut bytes = BytesMut::with_capacity(ROOM_BYTES + body_bytes);
        bytes.put_bytes(0, ROOM_BYTES);
        Self { bytes }
    }

    /// Where the fields after the header go.
    pub(crate) fn body(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Bytes of body written so far.
    pub(crate) fn body_bytes(&self) -> usize {
        self.bytes.len() - ROOM_BYTES
    }

    /// The body alone: a message without a header or a prefix.
    pub(crate) fn into_body(mut self) -> Bytes {
        self.bytes.advance(ROOM_BYTES);
        self.bytes.freeze()
    }

    /// The framed message.
    pub(crate) fn finish(mut self, facts: &Facts) -> Bytes {
        let header = Header::of(facts);
        let message_start = ROOM_BYTES - header.len();
        self.bytes[message_start..ROOM_BYTES].copy_from_slice(header.as_slice());
        let start = message_start - PREFIX_BYTES;
        write_prefix(&mut self.bytes[start..]);
        self.bytes.advance(start);
        self.bytes.freeze()
    }
}

/// The encoded header field, tag and length included; at most [`ROOM_BYTES`] less the prefix.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    bytes: [u8; ROOM_BYTES],
    len: usize,
}

impl Header {
    pub(crate) fn of(facts: &Facts) -> Self {
        let mut header = Self {
            bytes: [0; ROOM_BYTES],
            len: 2,
        };
        header.put(0x08, facts.cluster_id);
        header.put(0x10, facts.member_id);
        header.put(0x18, facts.revision.get() as u64);
        header.put(0x20, facts.raft_term);
        header.bytes[0] = TAG_HEADER;
        // At most 44, so one byte of length.
        header.bytes[1] = (header.len - 2) as u8;
        header
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn put(&mut self, tag: u8, mut value: u64) {
        if value == 0 {
            return;
        }
        self.push(tag);
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

/// Writes the prefix of an uncompressed message into the first bytes of `frame`, whose remainder is
/// the message.
pub(crate) fn write_prefix(frame: &mut [u8]) {
    let len = frame.len() - PREFIX_BYTES;
    let len = u32::try_from(len).expect("messages are bounded far below 4 GiB");
    frame[0] = 0;
    frame[1..PREFIX_BYTES].copy_from_slice(&len.to_be_bytes());
}

/// A message with its prefix.
pub(crate) fn framed(message: &impl prost::Message) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len());
    frame.put_bytes(0, PREFIX_BYTES);
    message.encode_raw(&mut frame);
    write_prefix(&mut frame);
    frame.freeze()
}

/// Encoded bytes with their prefix.
pub(crate) fn framed_bytes(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    frame.put_bytes(0, PREFIX_BYTES);
    frame.extend_from_slice(message);
    write_prefix(&mut frame);
    frame.freeze()
}

pub(crate) fn put_varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// A number field; zero is left out.
pub(crate) fn put_number(out: &mut BytesMut, tag: u8, value: u64) {
    if value != 0 {
        out.put_u8(tag);
        put_varint(out, value);
    }
}

/// A bytes or message field.
pub(crate) fn put_slice(out: &mut BytesMut, tag: u8, value: &[u8]) {
    out.put_u8(tag);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Bytes of a varint.
pub(crate) fn varint_bytes(value: u64) -> usize {
    // Seven bits a byte; zero takes one.
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// Bytes of a bytes or message field with a one-byte tag.
pub(crate) fn slice_bytes(len: usize) -> usize {
    1 + varint_bytes(len as u64) + len
}

#[cfg(test)]
mod tests;
