//! A stream is cut the same however it arrives, and a claimed length allocates nothing.

use proptest::prelude::*;

use super::*;
use crate::{
    number::put_varint,
    sample::{any_commits, codecs, encoder, group},
};

#[test]
fn a_frame_that_lies_whole_in_a_chunk_is_not_copied() {
    let batches = group(1, 1..=3, 1);
    let stream: Vec<u8> = batches.iter().flat_map(|b| b.frame().to_vec()).collect();
    let stream = Bytes::from(stream);
    let mut reader = FrameReader::new();
    reader.push(stream.clone());
    for batch in &batches {
        let read = reader.next().unwrap().unwrap();
        assert_eq!(&read, batch);
        assert!(stream.as_ptr_range().contains(&read.frame().as_ptr()));
    }
    assert_eq!(reader.next(), Ok(None));
    assert_eq!(reader.buffered(), 0);
}

#[test]
fn a_claimed_length_allocates_as_bytes_arrive() {
    let mut head = b"mB\x01\x00".to_vec();
    put_varint(&mut head, 200 << 20);
    let mut reader = FrameReader::new();
    reader.push(head.into());
    for _ in 0..4 {
        reader.push(Bytes::from_static(&[0; 1000]));
        assert_eq!(reader.next(), Ok(None));
    }
    assert!(reader.splitter.begun.capacity() <= AHEAD_BYTES_MAX);
    assert_eq!(reader.buffered(), 4008);
}

#[test]
fn an_error_stays_and_what_comes_later_is_not_kept() {
    let mut reader = FrameReader::new();
    reader.push(Bytes::from_static(b"mX\x01\x00\x05"));
    let error = reader.next().unwrap_err();
    assert_eq!(
        error,
        BatchError::Frame(FrameError::Magic { found: *b"mX" })
    );
    reader.push(group(1, 1..=1, 1)[0].frame().clone());
    assert_eq!(reader.next(), Err(error));
    assert_eq!(reader.buffered(), 0);
}

proptest! {
    #[test]
    fn batches_come_out_whole_however_the_stream_is_cut(
        log in any_commits(12),
        codec in codecs(),
        cuts in proptest::collection::vec(1..90_usize, 1..40),
    ) {
        let mut encoder = encoder(codec, 3);
        let batches: Vec<Batch> = log.chunks(2).map(|c| encoder.encode(c)).collect();
        let stream: Vec<u8> = batches.iter().flat_map(|b| b.frame().to_vec()).collect();
        let (mut reader, mut read, mut rest) = (FrameReader::new(), Vec::new(), &stream[..]);
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            reader.push(Bytes::copy_from_slice(now));
            while let Some(batch) = reader.next().unwrap() {
                read.push(batch);
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read, batches);
        prop_assert_eq!(reader.buffered(), 0);
    }
}
