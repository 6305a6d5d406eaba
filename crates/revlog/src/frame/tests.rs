//! Frames: every change of a byte is found, and nothing is believed before the checksum.

use proptest::prelude::*;

use super::*;

#[test]
fn a_length_above_the_bound_is_refused_from_the_first_bytes_on() {
    for rest in [CHUNK_BYTES_MAX as u64, u64::MAX, u64::MAX - 3] {
        let mut bytes = b"mC\x01\x00".to_vec();
        put_varint(&mut bytes, rest);
        let error = length(Kind::CHUNK, &bytes).unwrap_err();
        assert!(matches!(error, FrameError::TooLong { .. }), "{error}");
    }
}

#[test]
fn a_frame_too_short_for_its_checksum_is_refused() {
    for rest in 0..CHECKSUM_BYTES as u8 {
        let mut bytes = vec![b'm', b'B', 1, 0, rest];
        bytes.resize(5 + usize::from(rest), 0);
        let error = open(Kind::BATCH, &bytes).unwrap_err();
        assert!(matches!(error, FrameError::Truncated { .. }), "{error}");
    }
}

#[test]
fn an_unknown_version_is_named() {
    let mut bytes = seal(Kind::BATCH, 0, b"head", b"payload").to_vec();
    bytes[2] = 9;
    let error = open(Kind::BATCH, &bytes).unwrap_err();
    assert_eq!(error, FrameError::Version { found: 9 });
}

proptest! {
    #[test]
    fn a_frame_opens_as_it_was_sealed_and_no_other_does(
        flags: u8,
        head in proptest::collection::vec(any::<u8>(), 0..20),
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        flip: prop::sample::Index,
        bit in 0..8_u8,
    ) {
        let frame = seal(Kind::BATCH, flags, &head, &payload);
        let opened = open(Kind::BATCH, &frame).unwrap();
        prop_assert_eq!(opened.flags, flags);
        prop_assert_eq!(opened.body, [head, payload].concat());
        prop_assert_eq!(length(Kind::BATCH, &frame), Ok(Some(frame.len())));
        prop_assert!(open(Kind::CHUNK, &frame).is_err());
        for end in 0..frame.len() {
            prop_assert!(open(Kind::BATCH, &frame[..end]).is_err());
        }
        let mut longer = frame.to_vec();
        longer.push(0);
        prop_assert!(open(Kind::BATCH, &longer).is_err());
        let mut flipped = frame.to_vec();
        flipped[flip.index(frame.len())] ^= 1 << bit;
        prop_assert!(open(Kind::BATCH, &flipped).is_err());
    }
}
