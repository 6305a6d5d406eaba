//! Goal: credit is neither lost nor made.

use super::*;

#[test]
fn what_is_sent_and_read_comes_back_as_credit() {
    let (near, far) = (Flow::new(), Flow::new());
    let mut random = fastrand::Rng::with_seed(5);
    let mut on_the_way = std::collections::VecDeque::new();
    let mut passed = 0_u64;
    for _ in 0..100_000 {
        if near.may_send() && random.bool() {
            let len = random.usize(..200_000);
            near.sent(len);
            far.arrived(len)
                .expect("an honest sender keeps to its credit");
            on_the_way.push_back(len);
        } else if let Some(len) = on_the_way.pop_front() {
            far.read(len);
            passed += 1;
        }
        if let Some(credit) = far.take_due() {
            near.credited(credit);
        }
        assert!(
            near.may_send() || !on_the_way.is_empty(),
            "it has come to a halt"
        );
    }
    assert!(passed > 10_000);
}

#[test]
fn a_sender_that_ignores_its_credit_is_found_out() {
    let flow = Flow::new();
    let sends = (0..).take_while(|_| flow.arrived(1 << 10).is_ok()).count();
    assert!(sends <= 1_024);
    let empty = Flow::new();
    let sends = (0..).take_while(|_| empty.arrived(0).is_ok()).count();
    assert!(sends <= 20_000, "empty messages are bounded too");
}

#[test]
fn credit_out_of_nothing_does_not_raise_the_bound() {
    let flow = Flow::new();
    for credit in [1, u64::MAX, i64::MAX as u64] {
        flow.credited(credit);
    }
    flow.sent(CREDIT_BYTES as usize);
    assert!(!flow.may_send());
}
