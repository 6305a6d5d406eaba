//! The gap rules, verdict by verdict.

use super::*;

fn rev(n: i64) -> Revision {
    Revision::new(n)
}

#[test]
fn next_moves_on_and_a_second_arrival_is_a_duplicate() {
    let mut reader = Continuity::at(rev(4));
    assert_eq!(reader.admit(rev(5)), Ok(Verdict::Next));
    assert_eq!(reader.admit(rev(5)), Ok(Verdict::Duplicate));
    assert_eq!(reader.admit(rev(2)), Ok(Verdict::Duplicate));
    assert_eq!(reader.expected(), rev(6));
}

#[test]
fn a_gap_names_both_revisions_and_keeps_the_position() {
    let mut reader = Continuity::at(rev(4));
    assert_eq!(
        reader.admit(rev(7)),
        Err(Gap {
            expected: rev(5),
            arrived: rev(7)
        })
    );
    assert_eq!(reader.expected(), rev(5));
}
