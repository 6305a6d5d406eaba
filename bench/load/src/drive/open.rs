//! The open loop: operations start when they are due; latency counts from then, whoever was late.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet};

use super::{GRACE, closed::join_all};
use crate::{
    connection::Caller,
    outcome::{Outcome, Recorder},
    pacer::Pacer,
    workload::Requests,
};

pub(super) async fn run(
    callers: &[Caller],
    requests: &Requests,
    rate: f64,
    in_flight_max: usize,
    duration: Duration,
) -> Outcome {
    let recorder = Recorder::default();
    let permits = Arc::new(Semaphore::new(in_flight_max));
    let start = Instant::now();
    let end = start + duration;
    let mut pacer = Pacer::start(rate, duration);
    let mut random = fastrand::Rng::with_seed(1);
    let mut calls = JoinSet::new();
    let mut turns = callers.iter().cycle();
    let mut issued = 0;
    'paced: while let Some(due) = pacer.due_beyond(issued).await {
        while issued < due {
            let free = tokio::time::timeout(GRACE, permits.clone().acquire_owned()).await;
            let Ok(Ok(permit)) = free else { break 'paced };
            issued += 1;
            let intended = pacer.intended(issued);
            let mut caller = turns
                .next()
                .expect("there is at least one connection")
                .clone();
            let (request, recorder) = (requests.any(&mut random), recorder.clone());
            calls.spawn(async move {
                match caller.call(request).await {
                    Ok(bytes) => recorder.success(intended.elapsed(), bytes),
                    Err(failed) => recorder.failure(failed.kind(), || failed.to_string()),
                }
                drop(permit);
            });
            while calls.try_join_next().is_some() {}
        }
    }
    join_all(calls, end.max(Instant::now()), &recorder).await;
    recorder.finish(start.elapsed())
}
