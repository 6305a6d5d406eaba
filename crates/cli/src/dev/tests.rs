//! Goal: the options of `dev` refuse what cannot be meant.

use super::*;

#[test]
fn a_round_trip_is_a_time_up_to_half_a_minute() {
    assert_eq!(round_trip("80ms"), Ok(Duration::from_millis(80)));
    assert_eq!(round_trip("0s"), Ok(Duration::ZERO));
    assert!(round_trip("80").is_err());
    assert!(round_trip("1m").is_err());
}
