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
