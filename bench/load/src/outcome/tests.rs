//! Goal: percentiles and counts are those of what was recorded.

use super::*;

#[test]
fn percentiles_are_those_of_the_recorded_latencies() {
    let recorder = Recorder::default();
    for ms in 1..=1000 {
        recorder.success(Duration::from_millis(ms), 10);
    }
    let outcome = recorder.finish(Duration::from_secs(2));
    assert_eq!(outcome.ops, 1000);
    assert_eq!(outcome.ops_per_second, 500.0);
    assert_eq!(outcome.bytes_per_op, 10.0);
    assert!((outcome.latency.p50_us / 500_000.0 - 1.0).abs() < 0.01);
    assert!((outcome.latency.p99_us / 990_000.0 - 1.0).abs() < 0.01);
}

#[test]
fn failures_are_counted_by_kind_and_kept_out_of_the_latency() {
    let recorder = Recorder::default();
    recorder.failure("grpc 14".to_owned(), || "first".to_owned());
    recorder.failure("grpc 14".to_owned(), || "second".to_owned());
    let outcome = recorder.finish(Duration::from_secs(1));
    assert_eq!((outcome.ops, outcome.failed()), (0, 2));
    assert_eq!(outcome.first_error.as_deref(), Some("first"));
}
