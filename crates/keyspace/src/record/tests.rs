//! Goal: a record is the canonical encoding, whatever order and extras the bytes came with, and no
//! bytes make it panic. Method: golden bytes written out by hand, and random ones.

use proptest::prelude::*;

use super::*;

fn full() -> Fields<'static> {
    Fields {
        key: b"key",
        value: b"value",
        create_revision: Revision::new(300),
        mod_revision: Revision::new(301),
        version: 2,
        lease: LeaseId::new(-1),
    }
}

#[test]
fn the_encoding_is_the_protobuf_message_with_fields_in_number_order() {
    let golden = [
        &b"\x0a\x03key\x10\xac\x02\x18\xad\x02\x20\x02\x2a\x05value\x30"[..],
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ]
    .concat();
    let record = Record::new(full());
    assert_eq!(record.encoded(), golden);
    assert_eq!(record.fields(), full());
    assert_eq!(record.mod_revision(), Revision::new(301));
    assert!(!record.is_tombstone());
}

#[test]
fn a_tombstone_is_key_and_mod_revision_alone() {
    let record = Record::tombstone(b"k", Revision::new(7));
    assert_eq!(record.encoded(), b"\x0a\x01k\x18\x07");
    assert!(record.is_tombstone());
    assert_eq!(record.mod_revision(), Revision::new(7));
    assert_eq!(record.fields().version, 0);
}

#[test]
fn a_key_longer_than_one_length_byte_is_found() {
    let key = vec![b'x'; 300];
    let record = Record::new(Fields {
        key: &key,
        ..full()
    });
    assert_eq!(record.key(), key);
    assert_eq!(record.mod_revision(), Revision::new(301));
}

#[test]
fn order_and_unknown_fields_do_not_matter() {
    // Value before key, an unknown varint, fixed64, bytes and fixed32 between.
    let bytes = b"\x2a\x05value\x50\x01\x59\0\0\0\0\0\0\0\0\x62\x01z\x6d\0\0\0\0\x18\xad\x02\x10\xac\x02\x0a\x03key\x20\x02";
    let record = Record::from_encoded(bytes).unwrap();
    assert_eq!(
        record,
        Record::new(Fields {
            lease: LeaseId::NONE,
            ..full()
        })
    );
}

#[test]
fn bytes_that_are_no_key_value_are_refused_with_their_fault() {
    let check = |bytes: &[u8], reason: &str, offset: usize| {
        assert_eq!(
            Record::from_encoded(bytes).unwrap_err().to_string(),
            format!("not an encoded KeyValue: {reason} at byte {offset}")
        );
    };
    check(b"", "empty key", 0);
    check(b"\x18\x01", "empty key", 0);
    check(b"\x0a\x05abc", "truncated field", 1);
    check(
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "truncated field",
        1,
    );
    check(b"\x0a\x01k\x18\x80", "truncated number", 4);
    check(
        b"\x0a\x01k\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        "number longer than 64 bits",
        4,
    );
    check(b"\x0a\x01k\x5b", "unknown wire type", 3);
    check(b"\x0a\x01k\x59\0", "truncated field", 3);
}

proptest! {
    #[test]
    fn decoding_an_encoding_gives_the_same_record(
        key in prop::collection::vec(any::<u8>(), 1..200), value in prop::collection::vec(any::<u8>(), 0..300),
        create in 1..i64::MAX, modified in any::<i64>(), version in any::<i64>(), lease in any::<i64>(),
    ) {
        let fields = Fields {
            key: &key, value: &value, create_revision: Revision::new(create), mod_revision: Revision::new(modified),
            version, lease: LeaseId::new(lease),
        };
        let record = Record::new(fields);
        prop_assert_eq!(record.fields(), fields);
        prop_assert_eq!(record.key(), &key);
        prop_assert_eq!(record.mod_revision(), fields.mod_revision);
        prop_assert_eq!(Record::from_encoded(record.encoded()).unwrap(), record);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(record) = Record::from_encoded(&bytes) {
            prop_assert_eq!(Record::from_encoded(record.encoded()).unwrap(), record);
        }
    }
}
