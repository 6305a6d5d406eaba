//! Goal: the options of `dev` refuse what cannot be meant.

use super::*;

#[test]
fn a_round_trip_is_a_time_up_to_half_a_minute() {
    assert_eq!(round_trip("80ms"), Ok(Duration::from_millis(80)));
    assert_eq!(round_trip("0s"), Ok(Duration::ZERO));
    assert!(round_trip("80").is_err());
    assert!(round_trip("1m").is_err());
}

#[test]
fn progress_is_told_at_least_daily_and_at_most_ten_times_a_second() {
    assert_eq!(progress_interval("100ms"), Ok(Duration::from_millis(100)));
    assert_eq!(progress_interval("1day"), Ok(PROGRESS_MAX));
    assert!(progress_interval("99ms").is_err());
    assert!(progress_interval("2days").is_err());
    assert!(progress_interval("often").is_err());
}
