//! Goal: the page shows what an operator asks for first, and what is wrong in capitals.

use super::*;

#[test]
fn a_page_shows_node_home_and_what_is_wrong() {
    let document = r#"{
        "version": "0.1.0", "role": "gateway", "uptime_seconds": 125, "not_ready": "too stale",
        "node": "gw-1", "region": "eu", "mode": "local", "epoch": 0, "revision": 42,
        "staleness_ms": 7, "home_has_leader": false, "home_error": "no connection",
        "home": {"kind": "etcd", "replicated": true, "version": "3.4.23", "endpoints": [
            {"url": "http://a:1", "version": "3.4.23", "healthy": true, "last_error": null, "warning": "upgrade to 3.4.26"},
            {"url": "http://b:1", "version": null, "healthy": false, "last_error": "refused", "warning": null}
        ]},
        "keys": 3, "replica_bytes": 1572864, "history_from": 2, "watchers": 5,
        "watch_streams": 2, "connections": 4, "listen": "127.0.0.1:12379", "later": true
    }"#;
    let wanted = "\
node         gw-1 (meridian 0.1.0, up 2m 5s)
region       eu
role         gateway, local
ready        no: too stale
epoch        0
revision     42
staleness    7 ms
replica      3 keys, 1.5 MiB, history from revision 2
listens      127.0.0.1:12379
connections  4
watchers     5 on 2 streams
home         etcd 3.4.23, NO LEADER: no connection
  http://a:1  3.4.23  healthy; WARNING: upgrade to 3.4.26
  http://b:1  version unknown  NOT HEALTHY: refused";
    assert_eq!(of(document).unwrap(), wanted);
}

#[test]
fn a_document_of_something_else_is_no_page() {
    assert!(of("{}").is_err());
    assert!(of("<html>").is_err());
}

/// A member's page, but for the rows that the page without links has too.
const LINKED: &str = "\
link         member, hub us/hub-1, log from the delegate
delegate     eu/gateway-1 (term 7)
position     revision 42 of 45, epoch 0: 3 revisions, 12 ms behind
wan          1.0 KiB in, 512 B out
lan          2.0 MiB in, 0 B out
log readers  0
compression  5.1 (10.2 MiB as 2.0 MiB)
window       2.0 MiB, from revision 17
snapshot     3 of 9 keys
  us/hub-1  WAN  round trip 80.2 ms (least 80.0 ms, jitter 0.30 ms)  1.0 KiB in, 512 B out
  eu/gateway-1  LAN  round trip unknown (least unknown, jitter unknown)  2.0 MiB in, 0 B out";

#[test]
fn a_page_shows_the_links() {
    let document = r#"{
        "version": "0.1.0", "role": "gateway", "node": "gateway-2", "region": "eu",
        "mode": "local", "epoch": 0, "revision": 42, "staleness_ms": 7, "connections": 4,
        "link": {
            "role": "member", "source": "delegate", "hub": "us/hub-1", "delegate": "eu/gateway-1",
            "term": 7, "epoch": 0, "position": 42, "head": 45, "lag_revisions": 3, "lag_ms": 12,
            "wan_in_bytes": 1024, "wan_out_bytes": 512, "lan_in_bytes": 2097152, "lan_out_bytes": 0,
            "raw_bytes": 10695475, "coded_bytes": 2097152, "compression_ratio": 5.1,
            "direct_members": 0, "window_bytes": 2097152, "window_first": 17,
            "snapshot": {"keys_done": 3, "keys_total": 9}, "later": {},
            "peers": [
                {"peer": "us/hub-1", "wan": true, "rtt_ms": 80.2, "rtt_min_ms": 80.0,
                 "jitter_ms": 0.3, "bytes_sent": 512, "bytes_received": 1024},
                {"peer": "eu/gateway-1", "wan": false, "rtt_ms": null, "bytes_received": 2097152}
            ]
        }
    }"#;
    let page = of(document).unwrap();
    assert!(page.ends_with(LINKED), "{page}");
}

#[test]
fn a_hub_without_a_door_has_a_page_too() {
    let document = r#"{
        "version": "0.1.0", "role": "hub", "node": "hub-1", "region": "us",
        "link": {
            "role": "hub", "source": "home", "position": 45, "head": 45, "direct_members": 1,
            "regions": [
                {"region": "eu", "delegate": "eu/gateway-1", "term": 7, "nodes": [
                    {"name": "gateway-1", "position": 45, "source": "hub"},
                    {"name": "gateway-2", "position": 42, "source": "delegate"}]},
                {"region": "ap", "delegate": null, "term": 1, "nodes": []}
            ]
        }
    }"#;
    let wanted = "\
node         hub-1 (meridian 0.1.0, up 0s)
region       us
role         hub
ready        yes
link         hub, log from the home
position     revision 45 of 45, epoch 0: 0 revisions behind
wan          0 B in, 0 B out
lan          0 B in, 0 B out
log readers  1
window       0 B
  region eu: delegate eu/gateway-1 (term 7), nodes: 2
    gateway-1  at revision 45, log from hub
    gateway-2  at revision 42, log from delegate
  region ap: NO DELEGATE (term 1), nodes: 0";
    assert_eq!(of(document).unwrap(), wanted);
}

#[test]
fn a_node_without_log_or_hub_says_so_in_capitals() {
    let document = r#"{
        "version": "0.1.0", "role": "gateway", "node": "a", "region": "eu",
        "link": {"role": "member", "source": "none"}
    }"#;
    let page = of(document).unwrap();
    assert!(
        page.contains("link         member, NO HUB, NO LOG\n"),
        "{page}"
    );
}
