//! Goal: the pauses grow, stay in their band and never pass the maximum. Method: draw many.

use super::*;

const FIRST: Duration = Duration::from_millis(100);
const MAX: Duration = Duration::from_secs(5);

#[test]
fn pauses_double_inside_their_band_up_to_the_maximum() {
    for _ in 0..200 {
        let mut backoff = Backoff::new(FIRST, MAX);
        for n in 0..20 {
            let ceiling = (FIRST * 2u32.pow(n.min(10))).min(MAX);
            let pause = backoff.next();
            assert!(
                pause >= ceiling / 2 && pause <= ceiling,
                "pause {n}: {pause:?} of {ceiling:?}"
            );
        }
    }
}

#[test]
fn reset_starts_over() {
    let mut backoff = Backoff::new(FIRST, MAX);
    for _ in 0..10 {
        backoff.next();
    }
    backoff.reset();
    assert!(backoff.next() <= FIRST);
}

#[test]
fn a_first_pause_above_the_maximum_is_cut() {
    assert!(Backoff::new(MAX * 2, MAX).next() <= MAX);
}
