//! The Cluster service of a cluster of one. Its headers have no revision, as etcd's.

use bytes::Bytes;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};
use meridian_keyspace::Revision;

use super::{
    node::{Node, decode, encode},
    refuse,
};
use crate::CallError;

pub(super) fn member_list(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::MemberListRequest { linearizable: _ } = decode(message)?;
    let member = pb::Member {
        id: node.published.identity.member_id,
        name: node.name.clone(),
        peer_ur_ls: Vec::new(),
        client_ur_ls: node.client_urls.clone(),
        is_learner: false,
    };
    let header = node.header_at(Revision::ZERO);
    Ok(encode(&pb::MemberListResponse {
        header,
        members: vec![member],
    }))
}

pub(super) fn member_add(message: Bytes) -> Result<Bytes, CallError> {
    let _: pb::MemberAddRequest = decode(message)?;
    Err(no_members())
}

pub(super) fn member_remove(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::MemberRemoveRequest = decode(message)?;
    Err(known(node, request.id).err().unwrap_or_else(no_members))
}

pub(super) fn member_update(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::MemberUpdateRequest = decode(message)?;
    Err(known(node, request.id).err().unwrap_or_else(no_members))
}

pub(super) fn member_promote(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::MemberPromoteRequest = decode(message)?;
    known(node, request.id)?;
    Err(refuse::with(EtcdError::MEMBER_NOT_LEARNER))
}

fn known(node: &Node, id: u64) -> Result<(), CallError> {
    if id == node.published.identity.member_id {
        return Ok(());
    }
    Err(refuse::with(EtcdError::MEMBER_NOT_FOUND))
}

fn no_members() -> CallError {
    refuse::unsupported("its membership cannot change")
}
