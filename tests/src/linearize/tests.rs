//! Histories whose verdict is known, planted violations among them.

use super::*;

fn op(called: Moment, returned: Moment, action: Action) -> Operation {
    Operation {
        action,
        called,
        returned: Some(returned),
    }
}

fn unknown(called: Moment, action: Action) -> Operation {
    Operation {
        action,
        called,
        returned: None,
    }
}

fn swap(expected: Option<Value>, new: Value, held: impl Into<Option<bool>>) -> Action {
    Action::Swap {
        expected,
        new,
        held: held.into(),
    }
}

use Action::{Read, Write};

fn is_violated(history: &[Operation]) {
    assert!(
        matches!(check(history), Verdict::Violated(_)),
        "{history:?}"
    );
}

fn is_fine(history: &[Operation]) {
    assert_eq!(check(history), Verdict::Linearizable, "{history:?}");
}

#[test]
fn nothing_is_fine() {
    is_fine(&[]);
}

#[test]
fn one_after_another_is_fine() {
    is_fine(&[
        op(1, 2, Read(None)),
        op(3, 4, Write(1)),
        op(5, 6, Read(Some(1))),
        op(7, 8, swap(Some(1), 2, true)),
    ]);
}

#[test]
fn a_stale_read_is_found() {
    is_violated(&[
        op(1, 2, Write(1)),
        op(3, 4, Write(2)),
        op(5, 6, Read(Some(1))),
    ]);
}

#[test]
fn a_read_before_the_first_write_is_nothing() {
    is_violated(&[op(1, 2, Read(Some(1))), op(3, 4, Write(1))]);
    is_violated(&[op(1, 2, Write(1)), op(3, 4, Read(None))]);
}

#[test]
fn a_read_beside_a_write_may_see_either() {
    for found in [None, Some(1)] {
        is_fine(&[op(1, 10, Write(1)), op(2, 3, Read(found))]);
    }
}

#[test]
fn two_reads_beside_a_write_may_not_go_back() {
    is_fine(&[
        op(1, 10, Write(1)),
        op(2, 3, Read(None)),
        op(4, 5, Read(Some(1))),
    ]);
    is_violated(&[
        op(1, 10, Write(1)),
        op(2, 3, Read(Some(1))),
        op(4, 5, Read(None)),
    ]);
}

#[test]
fn a_value_that_nobody_wrote_is_found() {
    is_violated(&[op(1, 2, Write(1)), op(3, 4, Read(Some(9)))]);
}

#[test]
fn two_swaps_of_one_value_cannot_both_hold() {
    is_violated(&[
        op(1, 2, Write(1)),
        op(3, 9, swap(Some(1), 2, true)),
        op(4, 8, swap(Some(1), 3, true)),
    ]);
    is_fine(&[
        op(1, 2, Write(1)),
        op(3, 9, swap(Some(1), 2, true)),
        op(4, 8, swap(Some(1), 3, false)),
    ]);
}

#[test]
fn a_refused_swap_needs_another_value() {
    is_violated(&[op(1, 2, Write(1)), op(3, 4, swap(Some(1), 2, false))]);
}

#[test]
fn an_unknown_write_may_have_happened_or_not() {
    is_fine(&[
        op(1, 2, Write(1)),
        unknown(3, Write(2)),
        op(5, 6, Read(Some(1))),
    ]);
    is_fine(&[
        op(1, 2, Write(1)),
        unknown(3, Write(2)),
        op(5, 6, Read(Some(2))),
    ]);
    is_fine(&[
        op(1, 2, Write(1)),
        unknown(3, Write(2)),
        op(5, 6, Read(Some(1))),
        op(7, 8, Read(Some(2))),
    ]);
}

#[test]
fn an_unknown_write_happens_once_and_not_before_its_call() {
    let twice = [
        op(1, 2, Write(1)),
        unknown(3, Write(2)),
        op(5, 6, Read(Some(2))),
        op(7, 8, Write(3)),
    ];
    is_fine(&twice);
    let back = op(9, 10, Read(Some(2)));
    is_violated(&[&twice[..], &[back]].concat());
    is_violated(&[
        op(1, 2, Write(1)),
        op(3, 4, Read(Some(2))),
        unknown(5, Write(2)),
    ]);
}

#[test]
fn an_unknown_swap_may_go_either_way() {
    for found in [1, 2] {
        is_fine(&[
            op(1, 2, Write(1)),
            unknown(3, swap(Some(1), 2, None)),
            op(5, 6, Read(Some(found))),
        ]);
    }
    is_violated(&[
        op(1, 2, Write(1)),
        unknown(3, swap(Some(7), 2, None)),
        op(5, 6, Read(Some(2))),
    ]);
}

/// A history that is linearizable by construction: effects at known points, answers spread around them.
fn made(seed: u64, length: u64) -> Vec<Operation> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut state = None;
    (0..length)
        .map(|n| {
            let point = 100 * n + 50;
            let action = match rng.u8(0..4) {
                0 | 1 => Read(state),
                2 => {
                    state = Some(n);
                    Write(n)
                }
                _ => {
                    let expected = if rng.bool() { state } else { Some(u64::MAX) };
                    let held = expected == state;
                    state = if held { Some(n) } else { state };
                    swap(expected, n, held)
                }
            };
            let (called, returned) = (
                point.saturating_sub(rng.u64(1..400)),
                point + rng.u64(1..400),
            );
            let is_known = rng.u8(0..20) > 0 || matches!(action, Read(_));
            Operation {
                action,
                called,
                returned: is_known.then_some(returned),
            }
        })
        .collect()
}

#[test]
fn made_histories_are_fine_and_their_planted_faults_are_found() {
    let mut found = 0;
    for seed in 0..40 {
        let mut history = made(seed, 300);
        is_fine(&history);
        // A read is made to answer what was overwritten long before.
        // A write of unknown outcome may come as late as that: it would be no fault.
        let settled = history.iter().take(100).filter(|op| op.returned.is_some());
        let overwritten = settled
            .filter_map(|op| {
                if let Write(value) = op.action {
                    Some(value)
                } else {
                    None
                }
            })
            .next();
        let Some(late) = history
            .iter_mut()
            .skip(200)
            .find(|op| matches!(op.action, Read(_)))
        else {
            continue;
        };
        late.action = Read(overwritten);
        is_violated(&history);
        found += 1;
    }
    assert!(found > 30, "only {found} faults were planted");
}
