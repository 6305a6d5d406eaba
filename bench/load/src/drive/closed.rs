//! The closed loop: N workers over C connections, each starting an operation when its last is answered.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::GRACE;
use crate::{
    connection::Caller,
    outcome::{Outcome, Recorder},
    workload::Requests,
};

/// A worker whose calls fail pauses, so that a dead server is not a busy loop.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(10);

pub(super) async fn run(
    callers: &[Caller],
    requests: &Requests,
    in_flight: usize,
    duration: Duration,
) -> Outcome {
    let recorder = Recorder::default();
    let start = Instant::now();
    let end = start + duration;
    let mut workers = JoinSet::new();
    for (seed, caller) in callers.iter().cycle().take(in_flight).enumerate() {
        workers.spawn(work(
            caller.clone(),
            requests.clone(),
            recorder.clone(),
            end,
            seed as u64,
        ));
    }
    join_all(workers, end, &recorder).await;
    recorder.finish(start.elapsed())
}

/// Waits for the workers until the grace is over; what is left is stuck.
pub(super) async fn join_all(mut workers: JoinSet<()>, end: Instant, recorder: &Recorder) {
    let deadline = tokio::time::Instant::from_std(end + GRACE);
    while let Ok(Some(joined)) = tokio::time::timeout_at(deadline, workers.join_next()).await {
        joined.expect("workers neither panic nor are they aborted before the grace is over");
    }
    for _ in 0..workers.len() {
        recorder.failure("stuck".to_owned(), || {
            "no answer ten seconds after the end".to_owned()
        });
    }
}

async fn work(mut caller: Caller, requests: Requests, recorder: Recorder, end: Instant, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    loop {
        let start = Instant::now();
        if start >= end {
            return;
        }
        match caller.call(requests.any(&mut random)).await {
            Ok(bytes) => recorder.success(start.elapsed(), bytes),
            Err(failed) => {
                recorder.failure(failed.kind(), || failed.to_string());
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}
