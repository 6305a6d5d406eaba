//! One running node: what every service needs.
//!
//! Owns the way to the writer and the parts of an answer that all share. Invariant: what waits for
//! the writer is bounded in jobs and in bytes; callers beyond that wait their turn.

use std::sync::Arc;

use bytes::Bytes;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};
use meridian_keyspace::Revision;
use meridian_runtime::TaskGroup;
use prost::Message;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::Code;

use super::{
    job::{Answer, Job, Queued},
    published::Published,
    refuse,
};
use crate::{CallError, Fate};

/// etcd's default for `--max-request-bytes`: what a proposal may have.
pub(super) const REQUEST_BYTES_MAX: usize = 3 << 19;

/// What a message may have beyond it before gRPC itself refuses.
const GRPC_OVERHEAD_BYTES: usize = 512 << 10;

/// What gRPC lets through.
pub(super) const MESSAGE_BYTES_MAX: usize = REQUEST_BYTES_MAX + GRPC_OVERHEAD_BYTES;

/// What etcd wraps around a request that it proposes: an id of up to ten bytes, tags and lengths.
const PROPOSAL_OVERHEAD_BYTES: usize = 18;

/// etcd's default for `--max-txn-ops`.
pub(super) const TXN_OPS_MAX: usize = 128;

/// Payload that waits for the writer: 48 requests of the largest size.
pub(super) const QUEUE_BYTES: usize = 48 * REQUEST_BYTES_MAX;

pub(super) struct Node {
    pub(super) name: String,
    pub(super) client_urls: Vec<String>,
    pub(super) published: Arc<Published>,
    pub(super) tasks: TaskGroup,
    pub(super) jobs: mpsc::Sender<Queued>,
    pub(super) queue_bytes: Arc<Semaphore>,
}

impl Node {
    /// Queues a job with a payload of `bytes` and waits for its answer, which comes when the change
    /// is durable. Not cancel-safe: a dropped call has an unknown outcome.
    pub(super) async fn submit<T>(
        &self,
        bytes: usize,
        job: impl FnOnce(Answer<T>) -> Job,
    ) -> Result<Result<T, EtcdError>, CallError> {
        let (answer, done) = oneshot::channel();
        let bytes = u32::try_from(bytes.clamp(1, QUEUE_BYTES)).expect("the bound is below 4 GiB");
        let permit = Arc::clone(&self.queue_bytes)
            .acquire_many_owned(bytes)
            .await;
        let permit = permit.expect("nobody closes the semaphore");
        let queued = Queued {
            job: job(answer),
            _bytes: permit,
        };
        if self.jobs.send(queued).await.is_err() {
            let stopped = EtcdError::STOPPED;
            return Err(CallError::new(
                stopped.code(),
                stopped.message(),
                Fate::NotSent,
            ));
        }
        done.await.map_err(|_| refuse::stopped())
    }

    pub(super) fn header(&self) -> Option<pb::ResponseHeader> {
        self.header_at(self.published.keyspace.revision())
    }

    pub(super) fn header_at(&self, revision: Revision) -> Option<pb::ResponseHeader> {
        let facts = self.published.facts_at(revision);
        Some(pb::ResponseHeader {
            cluster_id: facts.cluster_id,
            member_id: facts.member_id,
            revision: facts.revision.get(),
            raft_term: facts.raft_term,
        })
    }
}

/// Reads a request, as a gRPC server does.
pub(super) fn decode<M: Message + Default>(message: Bytes) -> Result<M, CallError> {
    if message.len() > MESSAGE_BYTES_MAX {
        let text = format!(
            "grpc: received message larger than max ({} vs. {MESSAGE_BYTES_MAX})",
            message.len()
        );
        return Err(CallError::new(Code::ResourceExhausted, text, Fate::Refused));
    }
    M::decode(message).map_err(|error| {
        let text = format!("grpc: error unmarshalling request: {error}");
        CallError::new(Code::Internal, text, Fate::Refused)
    })
}

pub(super) fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

/// # Errors
/// If etcd would not propose a request of this encoded length.
pub(super) fn check_size(encoded: usize) -> Result<(), EtcdError> {
    if encoded + PROPOSAL_OVERHEAD_BYTES > REQUEST_BYTES_MAX {
        return Err(EtcdError::REQUEST_TOO_LARGE);
    }
    Ok(())
}
