//! Goal: the table aligns, sorts by region, and tells of nodes that did not answer.

use super::*;

fn answer(region: &str, node: &str, answer: Result<&str, &str>) -> NodeAnswer {
    let answer = answer.map(str::to_owned).map_err(str::to_owned);
    NodeAnswer::new(region.to_owned(), node.to_owned(), answer)
}

#[test]
fn every_node_has_a_line() {
    let hub = r#"{"version": "0.1.0", "role": "hub", "node": "hub-1", "region": "us",
        "link": {"role": "hub", "source": "home", "position": 45, "wan_out_bytes": 2048,
                 "compression_ratio": 5.14}}"#;
    let member = r#"{"version": "0.1.0", "role": "gateway", "node": "gw-2", "region": "eu",
        "mode": "local", "epoch": 0, "revision": 42, "staleness_ms": 7, "connections": 4,
        "not_ready": "stopping",
        "link": {"role": "member", "source": "delegate", "hub": "us/hub-1", "delegate": "eu/gw-1",
                 "lag_revisions": 3, "lag_ms": 12, "lan_in_bytes": 10,
                 "peers": [{"peer": "us/hub-1", "rtt_ms": 80.2}, {"peer": "eu/gw-1", "rtt_ms": 0.2}]}}"#;
    let all = AllNodes {
        nodes: vec![
            answer("us", "hub-1", Ok(hub)),
            answer("eu", "gw-2", Ok(member)),
            answer("eu", "gw-1", Err("no answer within 2 s")),
            answer("eu", "gw-3", Ok("<html>")),
        ],
    };
    let wanted = "\
node      role             log from  revision  lag        staleness  rtt      wan in/out     lan in/out  ratio  ready
eu/gw-1   NO ANSWER: no answer within 2 s
eu/gw-2   gateway, member  delegate  42        3 (12 ms)  7 ms       0.20 ms  0 B / 0 B      10 B / 0 B  -      NO: stopping
eu/gw-3   NO ANSWER: it sent no JSON: expected value at line 1 column 1
us/hub-1  hub              home      45        0          -          -        0 B / 2.0 KiB  0 B / 0 B   5.1    yes";
    assert_eq!(of(&all.to_json()).unwrap(), wanted);
}

#[test]
fn a_document_of_something_else_is_no_table() {
    assert!(of("{}").is_err());
    assert!(of("<html>").is_err());
}
