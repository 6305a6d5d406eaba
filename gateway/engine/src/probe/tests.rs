//! How many probes leave, and how long one waits.

use super::{pacer::Pacer, *};

/// Steps a pacer under permanent demand behind a round trip; answers departures and the longest wait.
fn departures_in(seconds: u64, round_trip: Duration) -> usize {
    let start = Instant::now();
    let mut pacer = Pacer::new(start);
    for _ in 0..100 {
        pacer.measured(round_trip);
    }
    let (mut now, mut departures) = (start, 0);
    while now < start + Duration::from_secs(seconds) {
        let wait = pacer.wait(now);
        now += wait;
        if wait.is_zero() {
            pacer.departed(now);
            departures += 1;
            now += Duration::from_micros(50);
        }
    }
    departures
}

#[test]
fn behind_80_ms_at_most_200_probes_leave_a_second() {
    let departures = departures_in(10, Duration::from_millis(80));
    assert!(departures <= 2000, "{departures}");
    assert!(departures >= 1500, "{departures}");
}

#[test]
fn beside_the_home_a_lone_reader_does_not_wait() {
    let start = Instant::now();
    let mut pacer = Pacer::new(start);
    for _ in 0..100 {
        pacer.measured(Duration::from_micros(400));
    }
    for n in 0..50 {
        let now = start + Duration::from_millis(n);
        assert_eq!(pacer.wait(now), Duration::ZERO);
        pacer.departed(now);
    }
}
