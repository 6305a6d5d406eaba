//! Goal: paths that are nothing here are told as by grpc-go, and ages never round down.

use std::time::Duration;

use super::*;

#[test]
fn unknown_paths_are_named_as_by_grpc_go() {
    let cases = [
        (
            "/etcdserverpb.KV/Nope",
            "unknown method Nope for service etcdserverpb.KV",
        ),
        (
            "/grpc.health.v1.Health/List",
            "unknown method List for service grpc.health.v1.Health",
        ),
        ("/etcdserverpb.K/Range", "unknown service etcdserverpb.K"),
        ("/a/b/c", "unknown service a/b"),
        ("/nope", "malformed method name: \"/nope\""),
    ];
    for (path, text) in cases {
        let failure = unknown(path);
        assert_eq!(
            (failure.code, failure.message.as_ref()),
            (Code::Unimplemented, text)
        );
    }
}

#[test]
fn ages_are_whole_milliseconds_rounded_up() {
    assert_eq!(age_ms(Duration::ZERO), "0");
    assert_eq!(age_ms(Duration::from_micros(1)), "1");
    assert_eq!(age_ms(Duration::from_millis(250)), "250");
    assert_eq!(age_ms(Duration::from_secs(5)), "5000");
}

#[test]
fn only_ages_that_come_again_may_be_indexed() {
    assert!(!age_ms(Duration::from_millis(2)).is_sensitive());
    for ms in [8, 250, 5000] {
        assert!(age_ms(Duration::from_millis(ms)).is_sensitive());
    }
}
