//! The Lease service.
//!
//! Grants and revokes go through the writer; renewals and times are the published leases' own, as
//! in etcd, where they do not go through Raft either. A keepalive's header is taken before the
//! renewal, so that its revision is never later than the renewal.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_etcd_api::etcdserverpb as pb;
use meridian_keyspace::LeaseId;

use super::{
    job::{Granted, Job},
    node::{Node, decode, encode},
    refuse, wire,
};
use crate::{CallError, Replies, StreamCall};

pub(super) async fn grant(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::LeaseGrantRequest = decode(message)?;
    let Granted {
        id,
        ttl_secs,
        revision,
    } = grant_of(node, LeaseId::new(request.id), request.ttl).await?;
    Ok(encode(&pb::LeaseGrantResponse {
        header: node.header_at(revision),
        id: id.get(),
        ttl: ttl_secs,
        error: String::new(),
    }))
}

/// Grants a lease; id zero takes a free one.
pub(super) async fn grant_of(
    node: &Node,
    id: LeaseId,
    ttl_secs: i64,
) -> Result<Granted, CallError> {
    let done = node
        .submit(1, |answer| Job::Grant {
            id,
            ttl_secs,
            answer,
        })
        .await?;
    done.map_err(refuse::with)
}

pub(super) async fn revoke(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::LeaseRevokeRequest = decode(message)?;
    let id = LeaseId::new(request.id);
    let done = node.submit(1, |answer| Job::Revoke(id, answer)).await?;
    let revision = done.map_err(refuse::with)?;
    Ok(encode(&pb::LeaseRevokeResponse {
        header: node.header_at(revision),
    }))
}

pub(super) fn time_to_live(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::LeaseTimeToLiveRequest = decode(message)?;
    let id = LeaseId::new(request.id);
    let header = node.header();
    let leases = node.published.leases.lock();
    let (Some(left), Some(granted_ttl)) = (
        leases.remaining(id, node.published.lease_clock()),
        leases.granted(id),
    ) else {
        let missing = pb::LeaseTimeToLiveResponse {
            header,
            id: request.id,
            ttl: -1,
            ..Default::default()
        };
        return Ok(encode(&missing));
    };
    let keys = leases
        .keys(id)
        .filter(|_| request.keys)
        .map(Bytes::copy_from_slice)
        .collect();
    let ttl = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
    Ok(encode(&pb::LeaseTimeToLiveResponse {
        header,
        id: request.id,
        ttl,
        granted_ttl,
        keys,
    }))
}

pub(super) fn leases(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::LeaseLeasesRequest {} = decode(message)?;
    let leases = node.published.leases.lock();
    let leases = leases
        .ids()
        .map(|id| pb::LeaseStatus { id: id.get() })
        .collect();
    Ok(encode(&pb::LeaseLeasesResponse {
        header: node.header(),
        leases,
    }))
}

/// One answer per request, in order, until the requests end.
pub(super) fn keep_alive(node: &Arc<Node>, call: StreamCall) -> Replies {
    let node = Arc::clone(node);
    wire::replies(call.requests.map(move |message| {
        let request: pb::LeaseKeepAliveRequest = decode(message)?;
        let header = node.header();
        let ttl = renew(&node, LeaseId::new(request.id));
        Ok(encode(&pb::LeaseKeepAliveResponse {
            header,
            id: request.id,
            ttl,
        }))
    }))
}

/// Renews a lease; answers its TTL, or zero if it is not there (any more).
pub(super) fn renew(node: &Node, id: LeaseId) -> i64 {
    let now = node.published.lease_clock();
    node.published.leases.lock().renew(id, now).unwrap_or(0)
}
