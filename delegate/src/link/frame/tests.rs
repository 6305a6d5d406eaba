//! Goal: frames come out as they went in, whatever the pieces, and hostile bytes cost nothing.
//! Method: random cuts of known frames; seeded mutations.

use super::*;
use crate::testing::{mutate, noise};

const BYTES_MAX: usize = 1 << 20;

fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
    let parts = frames.iter().fold(Parts::new(), |parts, frame| {
        parts.frame(Bytes::from(frame.clone()))
    });
    parts.into_chunks().concat()
}

/// Every frame of `bytes`, which arrive cut at `cuts`.
fn split(bytes: &[u8], mut cut: impl FnMut() -> usize) -> Result<Vec<Bytes>, FrameError> {
    let mut frames = Frames::default();
    let mut found = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(cut().clamp(1, rest.len()));
        rest = after;
        frames.push(Bytes::copy_from_slice(piece));
        while let Some(frame) = frames.next(BYTES_MAX)? {
            found.push(frame);
        }
    }
    frames.end()?;
    Ok(found)
}

#[test]
fn frames_survive_any_cutting() {
    let frames: Vec<Vec<u8>> = [0, 1, 127, 128, 511, 513, 20_000, 0, 3]
        .iter()
        .enumerate()
        .map(|(seed, len)| noise(seed as u64, *len))
        .collect();
    let bytes = stream(&frames);
    let mut random = fastrand::Rng::with_seed(1);
    for most in [1, 2, 7, 300, 100_000] {
        let found = split(&bytes, || random.usize(1..=most)).unwrap();
        assert_eq!(found, frames);
    }
}

#[test]
fn a_frame_in_one_piece_is_not_copied() {
    let chunk = Bytes::from(stream(&[vec![7; 5_000]]));
    let mut frames = Frames::default();
    frames.push(chunk.clone());
    let frame = frames.next(BYTES_MAX).unwrap().unwrap();
    assert_eq!(frame.as_ptr(), chunk[2..].as_ptr());
}

#[test]
fn an_end_inside_a_frame_is_an_error() {
    let bytes = stream(&[vec![1; 300]]);
    for cut in 1..bytes.len() {
        assert_eq!(
            split(&bytes[..cut], || 64),
            Err(FrameError::Truncated),
            "cut at {cut}"
        );
    }
    assert_eq!(split(&[0xff; 6], || 1), Err(FrameError::Length));
    let claims = split(&[0xff, 0xff, 0xff, 0xff, 0x7f], || 1).unwrap_err();
    assert!(matches!(claims, FrameError::TooLarge { .. }));
}

#[test]
fn a_claimed_length_takes_no_memory() {
    let mut frames = Frames::default();
    // Almost a MiB is claimed and three bytes come.
    frames.push(Bytes::from_static(&[0xff, 0xff, 0x3f, 1, 2, 3]));
    assert_eq!(frames.next(BYTES_MAX), Ok(None));
    assert!(frames.partial.capacity() < 1_024);
}

#[test]
fn what_follows_the_frames_is_given_as_it_is() {
    let mut bytes = stream(&[b"head".to_vec()]);
    bytes.extend_from_slice(b"rest");
    let mut frames = Frames::default();
    frames.push(Bytes::from(bytes));
    assert_eq!(frames.next(BYTES_MAX).unwrap().unwrap(), "head");
    assert_eq!(frames.take_rest().unwrap(), "rest");
    assert_eq!(frames.take_rest(), None);
}

#[test]
fn mutated_streams_never_panic_and_yield_no_more_than_they_hold() {
    let seeds = [
        stream(&[vec![1; 10], vec![2; 300], vec![]]),
        stream(&[noise(4, 2_000)]),
        vec![0x80, 0x80, 0x80, 0x80, 0x01],
    ];
    let mut random = fastrand::Rng::with_seed(2);
    mutate(&seeds, 20_000, |bytes| {
        if let Ok(found) = split(bytes, || random.usize(1..400)) {
            assert!(found.iter().map(Bytes::len).sum::<usize>() <= bytes.len());
        }
    });
}

#[test]
fn small_parts_are_one_chunk_and_large_ones_their_own() {
    let large = Bytes::from(vec![0; 10_000]);
    let parts = Parts::new()
        .message(&7_u32)
        .tagged(3, Bytes::from_static(b"small"))
        .frame(large.clone());
    assert_eq!(parts.len(), 1 + 2 + 7 + 2 + 10_000);
    let chunks = parts.into_chunks();
    assert_eq!(chunks.len(), 2);
    assert_eq!(chunks[1].as_ptr(), large.as_ptr());
}
