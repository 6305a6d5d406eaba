//! The Lock service: a lock is the first candidate under its name.

use std::sync::Arc;

use bytes::Bytes;
use meridian_etcd_api::{etcdserverpb as pb, v3lockpb};

use super::{
    kv,
    node::{Node, decode, encode},
    queue::{self, Candidate},
    refuse,
};
use crate::CallError;

/// Waits for the lock. The answer's key is what unlocks it; a caller that goes away while it waits
/// leaves nothing behind.
pub(super) async fn lock(node: &Arc<Node>, message: Bytes) -> Result<Bytes, CallError> {
    let request: v3lockpb::LockRequest = decode(message)?;
    let lease = queue::session(node, request.lease).await?;
    let candidate = Candidate::enter(node, &request.name, lease, Bytes::new()).await?;
    let mut revision = candidate.entered;
    if candidate.wait_turn().await? {
        revision = node.published.keyspace.revision();
        if kv::get(node, &candidate.key).is_none() {
            candidate.stay();
            return Err(queue::session_expired());
        }
    }
    let key = candidate.key.clone();
    candidate.stay();
    Ok(encode(&v3lockpb::LockResponse {
        header: node.header_at(revision),
        key,
    }))
}

pub(super) async fn unlock(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: v3lockpb::UnlockRequest = decode(message)?;
    let delete = pb::DeleteRangeRequest {
        key: request.key,
        ..Default::default()
    };
    let deleted = kv::delete_of(node, &delete)
        .await
        .map_err(refuse::hide_code)?;
    Ok(encode(&v3lockpb::UnlockResponse {
        header: deleted.header,
    }))
}
