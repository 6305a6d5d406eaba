//! The Election service: the leader is the first candidate under its name, and its key's value is
//! what it proclaims.

mod observe;

use std::sync::Arc;

use bytes::Bytes;
use meridian_etcd_api::v3electionpb as epb;
use meridian_keyspace::{Record, Revision, txn::PutOp};

pub(super) use self::observe::observe;
use super::{
    node::{Node, decode, encode},
    queue::{self, Candidate},
    refuse, wire,
};
use crate::CallError;

/// Waits to be elected. A caller that goes away while it waits leaves nothing behind.
pub(super) async fn campaign(node: &Arc<Node>, message: Bytes) -> Result<Bytes, CallError> {
    let request: epb::CampaignRequest = decode(message)?;
    let lease = queue::session(node, request.lease).await?;
    let candidate = Candidate::enter(node, &request.name, lease, request.value.clone()).await?;
    let is_other = |found: &Record| found.fields().value != &request.value[..];
    if candidate.found.as_ref().is_some_and(is_other) {
        let key = candidate.key.clone();
        let put = PutOp {
            key,
            value: request.value,
            lease,
            ..PutOp::default()
        };
        proclaim_as(node, candidate.created, put).await?;
    }
    candidate.wait_turn().await?;
    let leader = epb::LeaderKey {
        name: request.name,
        key: candidate.key.clone(),
        rev: candidate.created.get(),
        lease: candidate.lease.get(),
    };
    let header = node.header_at(candidate.entered);
    candidate.stay();
    Ok(encode(&epb::CampaignResponse {
        header,
        leader: Some(leader),
    }))
}

pub(super) async fn proclaim(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: epb::ProclaimRequest = decode(message)?;
    let leader = request.leader.ok_or_else(no_leader_key)?;
    let lease = queue::session(node, leader.lease).await?;
    let put = PutOp {
        key: leader.key,
        value: request.value,
        lease,
        ..PutOp::default()
    };
    let revision = proclaim_as(node, Revision::new(leader.rev), put).await?;
    Ok(encode(&epb::ProclaimResponse {
        header: node.header_at(revision),
    }))
}

async fn proclaim_as(node: &Node, created: Revision, put: PutOp) -> Result<Revision, CallError> {
    match queue::put_if_created_at(node, created, put).await? {
        (true, revision) => Ok(revision),
        (false, _) => Err(refuse::unknown("election: not leader")),
    }
}

pub(super) async fn leader(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: epb::LeaderRequest = decode(message)?;
    let header = node.header();
    let holder = queue::holder(node, &queue::prefix(&request.name)).await?;
    let holder = holder.ok_or_else(|| refuse::unknown("election: no leader"))?;
    Ok(encode(&epb::LeaderResponse {
        header,
        kv: Some(wire::key_value(&holder, false)),
    }))
}

/// Gives the leadership up; for a key that does not lead (any more) it succeeds and does nothing.
pub(super) async fn resign(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: epb::ResignRequest = decode(message)?;
    let leader = request.leader.ok_or_else(no_leader_key)?;
    queue::session(node, leader.lease).await?;
    let created = Revision::new(leader.rev);
    let revision = queue::delete_if_created_at(node, &leader.key, created).await?;
    Ok(encode(&epb::ResignResponse {
        header: node.header_at(revision),
    }))
}

fn no_leader_key() -> CallError {
    refuse::unknown("\"leader\" field must be provided")
}
