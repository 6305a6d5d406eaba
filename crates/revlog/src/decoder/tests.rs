//! What is encoded comes back, in order only, and a hostile payload costs no memory.

use proptest::prelude::*;

use super::*;
use crate::{
    Encoder, EncoderConfig, GroupId,
    batch::Head,
    sample::{any_commits, codecs, commits, config, encoder, group},
};

fn hostile(raw_len: u64, codec: Codec, payload: &[u8]) -> Batch {
    let head = Head {
        epoch: Epoch::ZERO,
        first: Revision::new(1),
        last: Revision::new(1),
        events: 1,
        codec,
        member: Member::Start(GroupId::new(1)),
        raw_len,
    };
    let batch = Batch::seal(head, payload, &mut Vec::new());
    Batch::parse(batch.frame().clone()).unwrap()
}

#[test]
fn a_batch_out_of_its_group_is_refused_and_changes_nothing() {
    let (batches, other) = (group(1, 1..=4, 1), group(2, 1..=4, 1));
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(&batches[1]), Err(BatchError::NotAligned));
    for batch in &batches[..2] {
        decoder.decode(batch).unwrap();
    }
    // One missing, one again, and the very same revision of another encoder's group.
    for wrong in [&batches[3], &batches[1], &other[2]] {
        assert_eq!(decoder.decode(wrong), Err(BatchError::NotAligned));
    }
    assert_eq!(decoder.decode(&batches[2]), Ok(commits(3..=3)));
    assert_eq!(decoder.decode(&batches[3]), Ok(commits(4..=4)));
}

#[test]
fn a_skipped_batch_is_context_for_the_next() {
    let batches = group(1, 1..=6, 2);
    let mut decoder = Decoder::new();
    decoder.skip(&batches[0]).unwrap();
    decoder.skip(&batches[1]).unwrap();
    assert_eq!(decoder.decode(&batches[2]), Ok(commits(5..=6)));
}

#[test]
fn after_a_wrong_payload_only_a_start_follows() {
    let batches = group(1, 1..=3, 1);
    let mut decoder = Decoder::new();
    decoder.decode(&batches[0]).unwrap();
    let wrong = hostile(100, Codec::Continuous, b"no zstd at all");
    assert!(matches!(
        decoder.decode(&wrong),
        Err(BatchError::Compression { .. })
    ));
    assert_eq!(decoder.decode(&batches[1]), Err(BatchError::NotAligned));
    assert_eq!(decoder.decode(&batches[0]), Ok(commits(1..=1)));
    assert_eq!(decoder.decode(&batches[1]), Ok(commits(2..=2)));
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let max = crate::RAW_BYTES_MAX as u64;
    let coded = encoder(Codec::Zstd, 1).encode(&commits(1..=1));
    let mut decoder = Decoder::new();
    for raw_len in [max, coded.raw_len() + 1, coded.raw_len() - 1] {
        let error = decoder.decode(&hostile(raw_len, Codec::Zstd, coded.payload()));
        assert!(
            matches!(error, Err(BatchError::Compression { .. })),
            "{error:?}"
        );
        assert!(decoder.raw.capacity() <= 128 << 10);
    }
}

#[test]
fn a_payload_that_blows_up_is_cut_off_at_its_claimed_length() {
    let mut decoder = Decoder::new();
    let mut compressor = crate::zstandard::Compressor::new(3, 0);
    let mut bomb = Vec::new();
    compressor.compress(&vec![0; 32 << 20], crate::zstandard::End::Flush, &mut bomb);
    let error = decoder.decode(&hostile(1000, Codec::Continuous, &bomb));
    assert!(
        matches!(error, Err(BatchError::Compression { .. })),
        "{error:?}"
    );
    assert!(decoder.raw.capacity() <= 128 << 10);
}

#[test]
fn a_window_above_the_bound_is_refused() {
    // A zstd frame header with a window of 64 MiB (exponent 16 over 2^10), then one raw block.
    let payload = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 16 << 3, 0x01, 0x00, 0x00];
    let error = Decoder::new().decode(&hostile(10, Codec::Continuous, &payload));
    let reason = "zstd cannot read it";
    assert_eq!(error, Err(BatchError::Compression { reason }));
}

#[test]
fn encoder_and_decoder_can_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<Encoder>();
    movable::<Decoder>();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn commits_come_back_whatever_the_codec_the_batches_and_the_groups(
        log in any_commits(60),
        codec in codecs(),
        cuts in proptest::collection::vec(1..7_usize, 60),
        group_raw_bytes in 0..2000_usize,
        level in 1..5,
        epoch: u64,
    ) {
        let config = EncoderConfig {
            epoch: Epoch::new(epoch),
            level,
            group_raw_bytes,
            ..config(codec)
        };
        let (mut encoder, mut decoder) = (Encoder::new(config, GroupId::new(9)), Decoder::new());
        let (mut rest, mut back) = (&log[..], Vec::new());
        for cut in cuts {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at(cut.min(rest.len()));
            let batch = Batch::parse(encoder.encode(now).frame().clone()).unwrap();
            prop_assert_eq!(batch.epoch(), config.epoch);
            back.extend(decoder.decode(&batch).unwrap());
            rest = later;
        }
        prop_assert_eq!(back, log);
    }
}
