//! What is done with hostile bytes, for each decoder: nothing but the public functions.
//!
//! Shared by the fuzz targets (nightly) and by the mutation test of revlog itself (stable). Invariant: a
//! subject returns whatever the bytes are; it panics only on a finding. Where bytes are accepted, what
//! came out of them has to survive coding again. A checksum keeps chance out, so each subject also
//! takes the bytes as a body, and seals it.

use bytes::Bytes;
use meridian_keyspace::Record;
use meridian_revlog::{
    Batch, ChunkDecoder, ChunkEncoder, ChunkReader, Codec, Decoder, Encoder, EncoderConfig, Epoch,
    FrameReader, GroupId, decode_changes, encode_changes,
};

/// A subject's name, also the folder of its corpus, and what it does.
pub type Subject = (&'static str, fn(&[u8]));

/// All of them, a fuzz target each.
pub const SUBJECTS: [Subject; 4] = [
    ("batch", batch),
    ("frames", frames),
    ("chunk", chunk),
    ("changes", changes),
];

/// A frame of this kind around flags and a body, with a checksum that holds.
fn sealed(magic: [u8; 2], data: &[u8]) -> Option<Bytes> {
    let (flags, body) = data.split_first()?;
    let mut frame = vec![magic[0], magic[1], 1, *flags];
    let mut rest = body.len() + 4;
    while rest >= 0x80 {
        frame.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    frame.push(rest as u8);
    frame.extend_from_slice(body);
    let checksum = crc32c::crc32c(&frame);
    frame.extend_from_slice(&checksum.to_le_bytes());
    Some(frame.into())
}

/// Parses and decodes one batch.
pub fn batch(data: &[u8]) {
    let frames = [Some(Bytes::copy_from_slice(data)), sealed(*b"mB", data)];
    for frame in frames.into_iter().flatten() {
        if let Ok(batch) = Batch::parse(frame) {
            decode(&mut Decoder::new(), &batch);
        }
    }
}

fn decode(decoder: &mut Decoder, batch: &Batch) {
    let Ok(commits) = decoder.decode(batch) else {
        return;
    };
    let last = commits.last().map(|commit| commit.revision);
    assert_eq!(commits[0].revision, batch.first());
    assert_eq!(last, Some(batch.last()));
    let config = EncoderConfig {
        codec: Codec::None,
        ..EncoderConfig::new(Epoch::ZERO)
    };
    let again = Encoder::new(config, GroupId::new(0)).encode(&commits);
    assert_eq!(again.events(), batch.events());
    assert_eq!(Decoder::new().decode(&again), Ok(commits));
}

/// Cuts a stream, in pieces of a size that its first byte says, and decodes what comes: the bytes as
/// they are, and as flags and bodies with two bytes of length before each, which are sealed.
pub fn frames(data: &[u8]) {
    let Some((size, mut rest)) = data.split_first() else {
        return;
    };
    stream(usize::from(*size).max(1), rest);
    let mut frames = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        frames.extend(sealed(*b"mB", &after[..length]).unwrap_or_default());
        rest = &after[length..];
    }
    stream(usize::from(*size).max(1), &frames);
}

fn stream(size: usize, stream: &[u8]) {
    let (mut reader, mut decoder) = (FrameReader::new(), Decoder::new());
    for piece in stream.chunks(size) {
        reader.push(Bytes::copy_from_slice(piece));
        while let Ok(Some(batch)) = reader.next() {
            decode(&mut decoder, &batch);
        }
        assert!(reader.buffered() <= stream.len());
    }
}

/// Cuts out and decodes one chunk.
pub fn chunk(data: &[u8]) {
    let frames = [Some(Bytes::copy_from_slice(data)), sealed(*b"mC", data)];
    for frame in frames.into_iter().flatten() {
        let mut reader = ChunkReader::new();
        reader.push(frame.clone());
        let cut = reader.next();
        let Ok(records) = ChunkDecoder::new().decode(&frame) else {
            continue;
        };
        assert_eq!(cut, Ok(Some(frame)));
        survives(&records);
    }
}

fn survives(records: &[Record]) {
    let again = ChunkEncoder::new().encode(records);
    assert_eq!(ChunkDecoder::new().decode(&again).as_deref(), Ok(records));
}

/// Decodes one list of changes.
pub fn changes(data: &[u8]) {
    let frames = [Some(Bytes::copy_from_slice(data)), sealed(*b"mH", data)];
    for frame in frames.into_iter().flatten() {
        if let Ok((changes, complete_to)) = decode_changes(&frame) {
            let again = encode_changes(&changes, complete_to);
            assert_eq!(decode_changes(&again), Ok((changes, complete_to)));
        }
    }
}
