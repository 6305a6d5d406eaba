//! Keepalives: N streams over C connections, one lease each; an operation is one request and its answer.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use h2::{RecvStream, SendStream};
use meridian_etcd_api::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest,
};
use tokio::task::JoinSet;

use super::closed::join_all;
use crate::{
    connection::{CallFailed, Connection, end_of, frame},
    outcome::{Outcome, Recorder},
};

/// Longer than a run, so that no lease ends in it; short enough to be gone soon after.
const LEASE_SECONDS: i64 = 600;

/// The open streams.
#[derive(Debug)]
pub(super) struct KeepAlives(Vec<Stream>);

#[derive(Debug)]
struct Stream {
    requests: SendStream<Bytes>,
    response: Option<h2::client::ResponseFuture>,
    answers: Option<RecvStream>,
    request: Bytes,
}

impl KeepAlives {
    pub(super) async fn open(connections: &[Connection], streams: usize) -> anyhow::Result<Self> {
        let mut open = Vec::with_capacity(streams);
        for connection in connections.iter().cycle().take(streams) {
            let grant = LeaseGrantRequest {
                ttl: LEASE_SECONDS,
                ..LeaseGrantRequest::default()
            };
            let granted = connection
                .ask("etcdserverpb.Lease/LeaseGrant", &grant)
                .await;
            let LeaseGrantResponse { id, .. } = granted.context("grant a lease to keep alive")?;
            let mut caller = connection.caller("etcdserverpb.Lease/LeaseKeepAlive");
            let (response, requests) = caller.start().await.context("open a keepalive stream")?;
            let request = frame(&LeaseKeepAliveRequest { id });
            open.push(Stream {
                requests,
                response: Some(response),
                answers: None,
                request,
            });
        }
        Ok(Self(open))
    }

    pub(super) async fn run(&mut self, duration: Duration) -> Outcome {
        let recorder = Recorder::default();
        let start = Instant::now();
        let end = start + duration;
        let (back, mut returned) = tokio::sync::mpsc::channel(self.0.len().max(1));
        let mut workers = JoinSet::new();
        for mut stream in self.0.drain(..) {
            let (recorder, back) = (recorder.clone(), back.clone());
            workers.spawn(async move {
                match stream.work(&recorder, end).await {
                    // A broken stream is not used again: the next run has one less, and says so.
                    Err(failed) => recorder.failure(failed.kind(), || failed.to_string()),
                    Ok(()) => back
                        .try_send(stream)
                        .expect("there is room for every stream"),
                }
            });
        }
        join_all(workers, end, &recorder).await;
        while let Ok(stream) = returned.try_recv() {
            self.0.push(stream);
        }
        recorder.finish(start.elapsed())
    }
}

impl Stream {
    async fn work(&mut self, recorder: &Recorder, end: Instant) -> Result<(), CallFailed> {
        loop {
            let start = Instant::now();
            if start >= end {
                return Ok(());
            }
            self.requests.send_data(self.request.clone(), false)?;
            recorder.success_of(start, self.answer().await?);
        }
    }

    /// Answers are smaller than a frame and come one at a time, so one chunk is one answer.
    async fn answer(&mut self) -> Result<u64, CallFailed> {
        if let Some(response) = self.response.take() {
            self.answers = Some(response.await?.into_body());
        }
        let answers = self.answers.as_mut().ok_or(CallFailed::NoStatus)?;
        match answers.data().await {
            Some(chunk) => {
                let length = chunk?.len();
                answers.flow_control().release_capacity(length)?;
                Ok(length as u64)
            }
            None => Err(end_of(answers).await.err().unwrap_or(CallFailed::NoStatus)),
        }
    }
}
