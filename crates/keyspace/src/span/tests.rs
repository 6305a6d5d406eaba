//! Goal: ranges mean what etcd's requests mean by them. Method: examples, and overlap checked
//! against all short keys.

use proptest::prelude::*;

use super::*;

#[test]
fn range_end_spells_single_prefix_and_from_key() {
    let check = |key: &[u8], end: &[u8], inside: &[&[u8]], outside: &[&[u8]]| {
        let span = KeySpan::from_wire(key, end);
        for key in inside {
            assert!(span.contains(key), "{key:?} in {span:?}");
        }
        for key in outside {
            assert!(!span.contains(key), "{key:?} not in {span:?}");
        }
        assert_eq!(KeyRange::from_wire(key, end).span(), span);
        assert_eq!(KeyRange::from_wire(key, end).to_wire(), (key, end));
    };
    check(b"a", b"", &[b"a"], &[b"", b"a\0", b"b"]);
    check(b"a", b"b", &[b"a", b"a\0", b"a\xff\xff"], &[b"b", b"Z"]);
    check(b"a", b"\0", &[b"a", b"\xff"], &[b"Z", b"\0"]);
    check(b"\0", b"\0", &[b"\0", b"a", b"\xff\xff"], &[b""]);
    check(b"b", b"a", &[], &[b"a", b"b", b"ab"]);
    check(b"a", b"\0\0", &[], &[b"a", b"\0"]);
}

#[test]
fn a_range_that_ends_before_it_begins_is_empty() {
    assert!(KeySpan::from_wire(b"b", b"a").is_empty());
    assert!(KeySpan::from_wire(b"b", b"b").is_empty());
    assert!(!KeySpan::from_wire(b"b", b"\0").is_empty());
    assert!(!KeySpan::from_wire(b"b", b"").is_empty());
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, b'a', b'b']), 0..3)
}

proptest! {
    #[test]
    fn ranges_overlap_exactly_if_a_key_lies_in_both(a in bytes(), b in bytes(), c in bytes(), d in bytes()) {
        let (one, two) = (KeySpan::from_wire(&a, &b), KeySpan::from_wire(&c, &d));
        let starts = [&a, &c];
        let both = starts.iter().any(|key| one.contains(key) && two.contains(key));
        // Two half-open ranges meet, if at all, at the start of one of them.
        prop_assert_eq!(one.overlaps(&two) && !one.is_empty() && !two.is_empty(), both);
    }
}
