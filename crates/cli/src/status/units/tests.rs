//! Goal: amounts are short and in the unit a person would choose.

use super::*;

#[test]
fn amounts_are_in_their_largest_unit() {
    for (count, wanted) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 50, "3072.0 TiB"),
    ] {
        assert_eq!(bytes(count), wanted);
    }
}

#[test]
fn round_trips_of_a_lan_and_of_a_wan_can_be_read() {
    assert_eq!(millis(0.213), "0.21 ms");
    assert_eq!(millis(80.04), "80.0 ms");
}
