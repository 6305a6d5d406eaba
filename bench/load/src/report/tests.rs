//! Goal: the verdict follows from the numbers, and a missing number is no verdict.

use super::*;

const ETCD: Goal<'_> = Goal::TimesPeer {
    peer: "etcd",
    factor: 0.25,
};

#[test]
fn a_ratio_within_the_factor_holds_and_beyond_it_does_not() {
    let row = |ours| Row::new("range", "µs", Some(ours), [("etcd", Some(100.0))], ETCD);
    assert_eq!((row(25.0).ratio, row(25.0).holds), (Some(0.25), Some(true)));
    assert_eq!(row(26.0).holds, Some(false));
}

#[test]
fn an_absolute_goal_is_held_against_our_number() {
    let row = Row::new("put", "ms", Some(0.5), [("etcd", None)], Goal::AtMost(0.4));
    assert_eq!((row.holds, row.peers.len()), (Some(false), 0));
}

#[test]
fn without_our_number_or_the_peers_there_is_no_verdict() {
    assert_eq!(
        Row::new("a", "µs", None, [("etcd", Some(1.0))], ETCD).holds,
        None
    );
    assert_eq!(
        Row::new("a", "µs", Some(1.0), [("proxy", Some(1.0))], ETCD).holds,
        None
    );
}

#[test]
fn the_json_form_has_the_agreed_keys() {
    let mut report = Report::begin();
    report
        .rows
        .push(Row::new("a", "µs", None, [("etcd", Some(1.0))], ETCD));
    let json = serde_json::to_value(&report).unwrap();
    for key in ["metric", "unit", "ours", "peers", "ratio", "goal", "holds"] {
        assert!(json["rows"][0].get(key).is_some(), "{key}");
    }
    for key in ["machine", "versions", "commit"] {
        assert!(json.get(key).is_some(), "{key}");
    }
}
