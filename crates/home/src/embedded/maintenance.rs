//! The Maintenance service.
//!
//! Status tells sizes as last noted by the writer. Hashes and defragmentation are done by the
//! writer, between two batches, so they see a settled file.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};

use super::{
    job::{DiskJob, Job, KvHash},
    node::{Node, decode, encode},
    refuse,
};
use crate::{CallError, Replies};

/// The etcd release whose behaviour this home keeps to. Clients gate features on it.
pub(super) const COMPATIBLE_VERSION: &str = "3.6.16";

/// etcd's name for what its storage of that release looks like.
const STORAGE_VERSION: &str = "3.6.0";

pub(super) fn status(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::StatusRequest {} = decode(message)?;
    let published = &node.published;
    let index = published.index.load(Ordering::Acquire);
    let bytes = |counter: &std::sync::atomic::AtomicU64| {
        i64::try_from(counter.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    };
    Ok(encode(&pb::StatusResponse {
        header: node.header(),
        version: COMPATIBLE_VERSION.to_owned(),
        db_size: bytes(&published.file_bytes),
        leader: published.identity.member_id,
        raft_index: index,
        raft_term: published.identity.raft_term,
        raft_applied_index: index,
        errors: Vec::new(),
        db_size_in_use: bytes(&published.stored_bytes),
        is_learner: false,
        storage_version: STORAGE_VERSION.to_owned(),
        // There is no quota here; zero says so.
        db_size_quota: 0,
        downgrade_info: Some(pb::DowngradeInfo::default()),
    }))
}

/// There is nothing that raises an alarm here, so none can be raised by hand either.
pub(super) fn alarm(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    use pb::alarm_request::AlarmAction;
    let request: pb::AlarmRequest = decode(message)?;
    match AlarmAction::try_from(request.action) {
        Ok(AlarmAction::Activate) if request.alarm != pb::AlarmType::None as i32 => {
            Err(refuse::unsupported("alarms are not kept"))
        }
        Ok(AlarmAction::Get | AlarmAction::Activate | AlarmAction::Deactivate) | Err(_) => {
            Ok(encode(&pb::AlarmResponse {
                header: node.header(),
                alarms: Vec::new(),
            }))
        }
    }
}

pub(super) async fn defragment(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::DefragmentRequest {} = decode(message)?;
    let done = node
        .submit(1, |answer| Job::Disk(DiskJob::Defragment(answer)))
        .await?;
    done.map_err(refuse::with)?;
    // etcd gives it no header.
    Ok(encode(&pb::DefragmentResponse { header: None }))
}

pub(super) async fn hash(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::HashRequest {} = decode(message)?;
    let done = node
        .submit(1, |answer| Job::Disk(DiskJob::Hash(answer)))
        .await?;
    let (hash, revision) = done.map_err(refuse::with)?;
    Ok(encode(&pb::HashResponse {
        header: node.header_at(revision),
        hash,
    }))
}

pub(super) async fn hash_kv(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::HashKvRequest { revision } = decode(message)?;
    let job = |answer| Job::Disk(DiskJob::HashKv { revision, answer });
    let KvHash {
        hash,
        compacted,
        hash_revision,
        revision,
    } = node.submit(1, job).await?.map_err(refuse::with)?;
    Ok(encode(&pb::HashKvResponse {
        header: node.header_at(revision),
        hash,
        compact_revision: compacted,
        hash_revision,
    }))
}

pub(super) fn snapshot(message: Bytes) -> Result<Replies, CallError> {
    let pb::SnapshotRequest {} = decode(message)?;
    Err(refuse::unsupported(
        "it has no etcd snapshot; copy its directory while it is stopped",
    ))
}

/// To itself, leadership moves at once; there is nobody else.
pub(super) fn move_leader(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::MoveLeaderRequest = decode(message)?;
    if request.target_id != node.published.identity.member_id {
        return Err(refuse::with(EtcdError::BAD_LEADER_TRANSFEREE));
    }
    Ok(encode(&pb::MoveLeaderResponse { header: None }))
}

pub(super) fn downgrade(message: Bytes) -> Result<Bytes, CallError> {
    use pb::downgrade_request::DowngradeAction;
    let request: pb::DowngradeRequest = decode(message)?;
    match DowngradeAction::try_from(request.action) {
        Ok(DowngradeAction::Cancel) => Err(refuse::with(EtcdError::NO_INFLIGHT_DOWNGRADE)),
        Ok(DowngradeAction::Validate | DowngradeAction::Enable) | Err(_) => {
            Err(refuse::unsupported("it cannot be downgraded"))
        }
    }
}
