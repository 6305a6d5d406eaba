//! Which method is served where: every one, once.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use tonic::Code;

use super::{
    auth, cluster, election, kv, lease, lock, maintenance, node::Node, range_stream, watch,
};
use crate::{CallError, Fate, Method, Replies, StreamCall};

pub(super) async fn unary(
    node: &Arc<Node>,
    method: Method,
    message: Bytes,
) -> Result<Bytes, CallError> {
    match method {
        Method::KvRange => kv::range(node, message).await,
        Method::KvPut => kv::put(node, message).await,
        Method::KvDeleteRange => kv::delete_range(node, message).await,
        Method::KvTxn => kv::txn(node, message).await,
        Method::KvCompact => kv::compact(node, message).await,
        Method::LeaseGrant => lease::grant(node, message).await,
        Method::LeaseRevoke => lease::revoke(node, message).await,
        Method::LeaseTimeToLive => lease::time_to_live(node, message),
        Method::LeaseLeases => lease::leases(node, message),
        Method::ClusterMemberAdd => cluster::member_add(message),
        Method::ClusterMemberRemove => cluster::member_remove(node, message),
        Method::ClusterMemberUpdate => cluster::member_update(node, message),
        Method::ClusterMemberList => cluster::member_list(node, message),
        Method::ClusterMemberPromote => cluster::member_promote(node, message),
        Method::MaintenanceAlarm => maintenance::alarm(node, message),
        Method::MaintenanceStatus => maintenance::status(node, message),
        Method::MaintenanceDefragment => maintenance::defragment(node, message).await,
        Method::MaintenanceHash => maintenance::hash(node, message).await,
        Method::MaintenanceHashKv => maintenance::hash_kv(node, message).await,
        Method::MaintenanceMoveLeader => maintenance::move_leader(node, message),
        Method::MaintenanceDowngrade => maintenance::downgrade(message),
        Method::AuthStatus => auth::status(node, message),
        Method::AuthDisable => auth::disable(node, message),
        Method::AuthAuthenticate => auth::authenticate(message),
        Method::AuthEnable
        | Method::AuthUserAdd
        | Method::AuthUserGet
        | Method::AuthUserList
        | Method::AuthUserDelete
        | Method::AuthUserChangePassword
        | Method::AuthUserGrantRole
        | Method::AuthUserRevokeRole
        | Method::AuthRoleAdd
        | Method::AuthRoleGet
        | Method::AuthRoleList
        | Method::AuthRoleDelete
        | Method::AuthRoleGrantPermission
        | Method::AuthRoleRevokePermission => Err(auth::unsupported()),
        Method::LockLock => lock::lock(node, message).await,
        Method::LockUnlock => lock::unlock(node, message).await,
        Method::ElectionCampaign => election::campaign(node, message).await,
        Method::ElectionProclaim => election::proclaim(node, message).await,
        Method::ElectionLeader => election::leader(node, message).await,
        Method::ElectionResign => election::resign(node, message).await,
        Method::KvRangeStream
        | Method::Watch
        | Method::LeaseKeepAlive
        | Method::MaintenanceSnapshot
        | Method::ElectionObserve => Err(wrong_shape(method)),
    }
}

pub(super) async fn stream(node: &Arc<Node>, mut call: StreamCall) -> Result<Replies, CallError> {
    let method = call.method;
    match method {
        Method::Watch => Ok(watch::open(node, call)),
        Method::LeaseKeepAlive => Ok(lease::keep_alive(node, call)),
        Method::KvRangeStream => range_stream::open(node, only(&mut call).await?),
        Method::MaintenanceSnapshot => maintenance::snapshot(only(&mut call).await?),
        Method::ElectionObserve => election::observe(node, only(&mut call).await?),
        _ => Err(wrong_shape(method)),
    }
}

/// The one request of a call that streams its answers only.
async fn only(call: &mut StreamCall) -> Result<Bytes, CallError> {
    call.requests.next().await.ok_or_else(|| {
        CallError::new(
            Code::Internal,
            "the call ended before its request",
            Fate::Refused,
        )
    })
}

/// A caller of ours mixed the two up.
fn wrong_shape(method: Method) -> CallError {
    let text = format!("{} was called in the wrong shape", method.path());
    CallError::new(Code::Internal, text, Fate::Refused)
}
