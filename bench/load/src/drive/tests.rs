//! Goal: both loops count every operation once and end by themselves. Method: the bare echo as the server.

use super::*;
use crate::echo::{Echo, Style};

async fn check(how: Loop, duration: Duration) -> Outcome {
    let echo = Echo::bind(0, 345, Style::Spawned).await.unwrap();
    let endpoint = Endpoint::loopback(echo.port());
    let server = tokio::spawn(echo.serve());
    let shape = Shape::new(1000, 42, 256).unwrap();
    let mut session = Session::open(&[endpoint], 2, Operation::GetSerializable, &shape, 8)
        .await
        .unwrap();
    let outcome = session.run(how, duration).await.unwrap();
    server.abort();
    outcome
}

#[tokio::test]
async fn a_closed_loop_keeps_its_operations_in_flight_and_fails_none() {
    let outcome = check(Loop::Closed { in_flight: 8 }, Duration::from_millis(100)).await;
    assert!(outcome.ops >= 8, "{outcome:?}");
    assert_eq!((outcome.failed(), outcome.bytes_per_op), (0, 345.0));
}

#[tokio::test]
async fn an_open_loop_issues_exactly_the_operations_that_were_due() {
    let how = Loop::Open {
        rate: 1000.0,
        in_flight_max: 64,
    };
    let outcome = check(how, Duration::from_millis(200)).await;
    assert_eq!((outcome.ops, outcome.failed()), (200, 0));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_clear_line() {
    let shape = Shape::new(1000, 42, 256).unwrap();
    let nobody = [Endpoint::loopback(1)];
    let opened = Session::open(&nobody, 1, Operation::Put, &shape, 1).await;
    let words = opened.unwrap_err().to_string();
    assert!(words.contains("is a server listening there?"), "{words}");
}
