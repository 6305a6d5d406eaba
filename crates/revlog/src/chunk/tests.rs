//! Chunks: records come back, and a wrong chunk does not spoil the next.

use proptest::prelude::*;

use super::*;
use crate::{
    sample::{any_commits, put, rev},
    zstandard,
};

fn sealed(count: u64, raw_len: u64, coded: &[u8]) -> Bytes {
    let mut head = Vec::new();
    put_varint(&mut head, count);
    put_varint(&mut head, raw_len);
    frame::seal(Kind::CHUNK, 0, &head, coded)
}

#[test]
fn a_claimed_count_or_length_allocates_nothing() {
    let mut decoder = ChunkDecoder::new();
    for (count, raw_len) in [(u64::MAX, 600), (101, 600), (1, u64::MAX), (0, 64 << 20)] {
        decoder
            .decode(&sealed(count, raw_len, b"what"))
            .unwrap_err();
        assert!(decoder.raw.capacity() <= 128 << 10);
    }
}

#[test]
fn a_wrong_chunk_does_not_spoil_the_next() {
    let (mut encoder, mut decoder) = (ChunkEncoder::new(), ChunkDecoder::new());
    let records = [put(b"k", b"v", rev(3))];
    let good = encoder.encode(&records);
    let mut cut = Vec::new();
    zstandard::Compressor::new(1, 0).compress(b"abc", End::Flush, &mut cut);
    let wrong = sealed(1, 7, &cut);
    assert!(matches!(
        decoder.decode(&wrong),
        Err(ChunkError::Compression { .. })
    ));
    assert_eq!(decoder.decode(&good).unwrap(), records);
}

#[test]
fn records_are_cut_at_the_aim_and_one_is_never_split() {
    let big = put(b"big", &vec![1; CHUNK_RAW_BYTES], rev(2));
    let small = put(b"small", b"v", rev(2));
    assert_eq!(
        chunk_records(&[small.clone(), small.clone(), big.clone()]),
        2
    );
    assert_eq!(chunk_records(&[big.clone(), small]), 1);
    let frame = ChunkEncoder::new().encode(std::slice::from_ref(&big));
    assert_eq!(ChunkDecoder::new().decode(&frame).unwrap(), [big]);
}

proptest! {
    #[test]
    fn records_come_back_through_a_cut_stream(log in any_commits(30), cut in 1..50_usize) {
        let (mut encoder, mut decoder) = (ChunkEncoder::new(), ChunkDecoder::new());
        let (mut reader, mut back) = (ChunkReader::new(), Vec::new());
        let stream: Vec<u8> = log.iter().flat_map(|c| encoder.encode(&c.records)).collect();
        for part in stream.chunks(cut) {
            reader.push(Bytes::copy_from_slice(part));
            while let Some(frame) = reader.next().unwrap() {
                back.push(decoder.decode(&frame).unwrap());
            }
        }
        let records: Vec<_> = log.into_iter().map(|c| c.records).collect();
        prop_assert_eq!(back, records);
    }
}
