//! Golden files of version 1. They were written once, by `MERIDIAN_WRITE_GOLDEN=1 cargo test`; a
//! change of them is a new version of the wire. What zstd makes of a payload may change with zstd, so
//! of a compressed frame only what comes out of it is fixed.

use std::{env, fs, path::PathBuf};

use bytes::Bytes;
use meridian_keyspace::Revision;
use meridian_revlog::{
    Batch, ChunkDecoder, ChunkEncoder, Codec, Decoder, Encoder, EncoderConfig, Epoch, GroupId,
    decode_changes, encode_changes,
};

use crate::log::{changes, commits};

/// The file's bytes. `now` is what this build makes.
fn golden(name: &str, now: &[u8]) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name);
    if env::var_os("MERIDIAN_WRITE_GOLDEN").is_some() {
        fs::write(&path, now).unwrap();
    }
    fs::read(path).unwrap().into()
}

fn encoder(codec: Codec) -> Encoder {
    let config = EncoderConfig {
        codec,
        ..EncoderConfig::new(Epoch::new(3))
    };
    Encoder::new(config, GroupId::new(0x0123_4567_89ab_cdef))
}

#[test]
fn an_uncoded_batch_is_byte_for_byte_the_same() {
    let now = encoder(Codec::None).encode(&commits());
    let then = golden("batch-none-v1.bin", now.frame());
    assert_eq!(now.frame(), &then);
    let batch = Batch::parse(then).unwrap();
    assert_eq!(Decoder::new().decode(&batch), Ok(commits()));
}

#[test]
fn compressed_batches_of_then_are_read_now() {
    for (codec, name) in [(Codec::Zstd, "zstd"), (Codec::Continuous, "continuous")] {
        let (mut encoder, mut decoder) = (encoder(codec), Decoder::new());
        for (number, commits) in commits().chunks(2).enumerate() {
            let now = encoder.encode(commits);
            let name = format!("batch-{name}-{number}-v1.bin");
            let then = Batch::parse(golden(&name, now.frame())).unwrap();
            assert_eq!(decoder.decode(&then).as_deref(), Ok(commits));
            let head = |b: &Batch| {
                (
                    b.epoch(),
                    b.first(),
                    b.last(),
                    b.events(),
                    b.start(),
                    b.raw_len(),
                )
            };
            assert_eq!(head(&then), head(&now));
        }
    }
}

#[test]
fn a_chunk_of_then_is_read_now() {
    let records: Vec<_> = commits().into_iter().flat_map(|c| c.records).collect();
    let now = ChunkEncoder::new().encode(&records);
    let then = golden("chunk-v1.bin", &now);
    assert_eq!(ChunkDecoder::new().decode(&then), Ok(records));
}

#[test]
fn a_list_of_changes_is_byte_for_byte_the_same() {
    let complete_to = Revision::new(1009);
    let now = encode_changes(&changes(), complete_to);
    let then = golden("changes-v1.bin", &now);
    assert_eq!(now, then);
    assert_eq!(decode_changes(&then), Ok((changes(), complete_to)));
}
