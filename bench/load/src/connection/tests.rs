//! Goal: endpoints are parsed at the door; a call is judged by its grpc-status.

use super::*;
use crate::echo::{Echo, Style};

#[test]
fn an_endpoint_is_host_and_port_with_or_without_http() {
    assert_eq!(
        "http://127.0.0.1:2379/".parse(),
        Ok(Endpoint::loopback(2379))
    );
    assert_eq!("127.0.0.1:2379".parse(), Ok(Endpoint::loopback(2379)));
}

#[test]
fn a_bad_endpoint_is_refused_with_what_would_be_right() {
    for bad in ["", "localhost", ":1", "a:b", "https://a:1", "a:70000"] {
        assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_call_counts_the_bytes_of_the_answer() {
    for style in [Style::Spawned, Style::Inline] {
        let echo = Echo::bind(0, 345, style).await.unwrap();
        let endpoint = Endpoint::loopback(echo.port());
        let server = tokio::spawn(echo.serve());
        let connection = Connection::open(&endpoint).await.unwrap();
        let mut caller = connection.caller("etcdserverpb.KV/Range");
        for _ in 0..3 {
            assert_eq!(
                caller.call(Bytes::from_static(b"request")).await.unwrap(),
                345
            );
        }
        server.abort();
    }
}

#[test]
fn a_status_other_than_zero_is_a_failure_with_code_and_words() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-message", HeaderValue::from_static("no leader"));
    let failed = read_status(&HeaderValue::from_static("14"), &trailers).unwrap_err();
    assert_eq!(failed.kind(), "grpc 14");
    assert!(failed.to_string().contains("no leader"));
}
