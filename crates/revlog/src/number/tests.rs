//! Varints: each number once, in its shortest form.

use proptest::prelude::*;

use super::*;

fn encoded(value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, value);
    bytes
}

#[test]
fn a_longer_encoding_or_more_than_64_bits_is_refused() {
    for bytes in [
        &[0x80, 0x00][..],
        &[0xff, 0x80, 0x00],
        &[0xff; 10],
        &[0xff; 11],
    ] {
        assert_eq!(Reader::new(bytes).varint(), Err(Wrong::Number), "{bytes:?}");
    }
    let mut two_to_the_64 = [0x80; 10];
    two_to_the_64[9] = 2;
    assert_eq!(Reader::new(&two_to_the_64).varint(), Err(Wrong::Number));
    assert_eq!(Reader::new(&[]).varint(), Err(Wrong::Truncated));
    assert_eq!(Reader::new(&[0x80; 9]).varint(), Err(Wrong::Truncated));
}

#[test]
fn a_claimed_length_beyond_the_bytes_is_refused() {
    let mut bytes = encoded(u64::MAX);
    bytes.push(1);
    assert_eq!(Reader::new(&bytes).string(), Err(Wrong::Truncated));
    assert_eq!(Reader::new(&[2, 1]).string(), Err(Wrong::Truncated));
}

proptest! {
    #[test]
    fn a_number_comes_back_and_its_size_is_foretold(bits in 0..=64_u32, value: u64) {
        let value = if bits == 0 { 0 } else { value >> (64 - bits) };
        let bytes = encoded(value);
        prop_assert_eq!(bytes.len(), varint_bytes(value));
        prop_assert_eq!(Reader::new(&bytes).varint(), Ok(value));
        for end in 0..bytes.len() {
            prop_assert_eq!(Reader::new(&bytes[..end]).varint(), Err(Wrong::Truncated));
        }
    }
}
