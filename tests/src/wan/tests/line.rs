//! The machine alone, with a clock of the test's own.

use std::time::{Duration, Instant};

use crate::wan::{
    Conditions, Gate,
    line::{Line, Passage},
};

fn fates(seed: u64, is: Conditions) -> Vec<Passage> {
    let (mut line, start) = (Line::new(seed), Instant::now());
    (0..10_000u64)
        .map(|n| line.pass(start + Duration::from_micros(n * 100), 1_200, &is))
        .collect()
}

fn share(fates: &[Passage], of: impl Fn(&Passage) -> bool) -> f64 {
    fates.iter().filter(|fate| of(fate)).count() as f64 / fates.len() as f64
}

#[test]
fn shares_are_as_asked() {
    let is = Conditions {
        loss: 0.05,
        duplicate: 0.1,
        ..Conditions::default()
    };
    let fates = fates(7, is);
    let lost = share(&fates, |fate| *fate == Passage::Lost);
    let twice = share(&fates, |fate| matches!(fate, Passage::Twice(..)));
    assert!((0.04..0.06).contains(&lost), "{lost}");
    assert!((0.08..0.12).contains(&twice), "{twice}");
}

#[test]
fn one_seed_has_one_fate() {
    let is = Conditions {
        loss: 0.1,
        ..Conditions::default()
    };
    let lost = |seed| -> Vec<bool> {
        fates(seed, is)
            .iter()
            .map(|fate| *fate == Passage::Lost)
            .collect()
    };
    assert_eq!(lost(3), lost(3));
    assert_ne!(lost(3), lost(4));
}

#[test]
fn jitter_delays_and_keeps_order() {
    let is = Conditions {
        delay: Duration::from_millis(10),
        jitter: Duration::from_millis(5),
        ..Conditions::default()
    };
    let (mut line, start) = (Line::new(1), Instant::now());
    let mut before = start;
    for n in 0..1_000u64 {
        let now = start + Duration::from_micros(n * 50);
        let Passage::Once(due) = line.pass(now, 100, &is) else {
            panic!("lost");
        };
        assert!(due >= before && due >= now + is.delay && due <= now + is.delay + is.jitter);
        before = due;
    }
}

#[test]
fn a_reordered_packet_arrives_after_later_ones() {
    let is = Conditions {
        reorder: 0.1,
        ..Conditions::default()
    };
    let dues: Vec<Instant> = fates(9, is)
        .iter()
        .map(|fate| match fate {
            Passage::Once(due) => *due,
            Passage::Lost | Passage::Twice(..) => panic!("{fate:?}"),
        })
        .collect();
    let overtaken = dues.windows(2).filter(|two| two[0] > two[1]).count();
    assert!((700..1_300).contains(&overtaken), "{overtaken}");
}

#[test]
fn a_slow_line_spaces_packets_and_drops_what_its_buffer_cannot_hold() {
    // 100 packets of 1,250 bytes a second; the buffer holds a quarter of a second.
    let is = Conditions {
        bytes_per_second: Some(125_000),
        ..Conditions::default()
    };
    let (mut line, now) = (Line::new(1), Instant::now());
    let fates: Vec<Passage> = (0..100).map(|_| line.pass(now, 1_250, &is)).collect();
    let through: Vec<Instant> = fates
        .iter()
        .filter_map(|fate| match fate {
            Passage::Once(due) => Some(*due),
            Passage::Lost | Passage::Twice(..) => None,
        })
        .collect();
    assert_eq!(through.len(), 26);
    for two in through.windows(2) {
        assert_eq!(two[1] - two[0], Duration::from_millis(10));
    }
}

#[test]
fn nothing_passes_a_shut_gate() {
    for gate in [Gate::Blackhole, Gate::Cut] {
        let fates = fates(1, Conditions::default().behind(gate));
        assert!(fates.iter().all(|fate| *fate == Passage::Lost));
    }
}
