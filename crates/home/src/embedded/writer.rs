//! The one writer: takes all waiting jobs, makes their changes durable in one transaction, lets
//! readers see them, and answers.
//!
//! Invariant: evaluate, persist, publish, answer, in this order, for a whole batch at a time. A
//! failure to persist stops the process: what it evaluated is not on disk, and nobody has been
//! told that it is. Jobs accepted before the stop are done.

mod batch;

use std::sync::Arc;

use meridian_runtime::TaskGroup;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::batch::Batches;
use super::{
    disk::Disk,
    head::Head,
    job::{Job, Queued},
    published::Published,
};

/// Jobs that wait at most; their payload is bounded in bytes by the node.
pub(super) const QUEUE_JOBS: usize = 4096;

/// Jobs in one transaction: at some microseconds each, evaluation stays below 10 ms.
const BATCH_JOBS: usize = 1024;

/// Starts the writer.
pub(super) fn start(
    head: Head,
    disk: Disk,
    published: Arc<Published>,
    tasks: &TaskGroup,
) -> mpsc::Sender<Queued> {
    let (sender, jobs) = mpsc::channel(QUEUE_JOBS);
    let batches = Batches::new(head, disk, published);
    tasks.spawn_permanent("writer", run(batches, jobs, tasks.token()));
    sender
}

async fn run(mut batches: Batches, mut jobs: mpsc::Receiver<Queued>, stop: CancellationToken) {
    loop {
        let mut batch = Vec::new();
        if batches.has_background_work() {
            take_waiting(&mut jobs, &mut batch);
        } else {
            tokio::select! {
                taken = jobs.recv_many(&mut batch, BATCH_JOBS) => if taken == 0 {
                    // Nobody can send any more.
                    stop.cancelled().await;
                },
                () = stop.cancelled() => {}
            }
        }
        if batch.is_empty() && stop.is_cancelled() {
            jobs.close();
            take_waiting(&mut jobs, &mut batch);
            if batch.is_empty() {
                return;
            }
        }
        match work_through(batches, batch).await {
            Some(left) => batches = left,
            None => return,
        }
    }
}

fn take_waiting(jobs: &mut mpsc::Receiver<Queued>, batch: &mut Vec<Queued>) {
    while batch.len() < BATCH_JOBS {
        let Ok(job) = jobs.try_recv() else { return };
        batch.push(job);
    }
}

/// Does one batch on a thread that may block. Nothing comes back if the disk failed.
async fn work_through(mut batches: Batches, batch: Vec<Queued>) -> Option<Batches> {
    let work = tokio::task::spawn_blocking(move || {
        let jobs: Vec<Job> = batch.into_iter().map(|queued| queued.job).collect();
        batches.process(jobs).map(|()| batches)
    });
    match work.await {
        Ok(Ok(batches)) => Some(batches),
        Ok(Err(error)) => {
            tracing::error!(%error, "the embedded home cannot write its file; stopping");
            None
        }
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
