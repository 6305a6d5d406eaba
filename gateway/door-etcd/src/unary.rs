//! Where a unary call goes.

use bytes::Bytes;
use meridian_etcd_api::Method;

use crate::{
    call::{Answered, Call, Served},
    cluster,
    failure::Failure,
    forward, read, txn,
};

/// Who answers a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handling {
    /// The replica, if the read's level allows.
    Range,
    /// The replica if it only reads, else the home.
    Txn,
    /// This gateway: it is the cluster's only member that its clients need.
    Members,
    /// The home, and the engine learns of it.
    Noted,
    /// The home.
    Home,
}

/// Answers one call.
///
/// # Errors
/// What the client is told.
pub(crate) async fn answer(call: &Call<'_>, message: Bytes) -> Result<Answered, Failure> {
    let started = call.connection.clock();
    let outcome = match at_once(call, &message) {
        Some(outcome) => outcome,
        None => Box::pin(handle(call, message)).await,
    };
    let meters = &call.connection.door.meters;
    match &outcome {
        Ok(answered) => meters.answered(call.method, &answered.served),
        Err(failure) => meters.failed(call.method, failure.code),
    }
    if let Some(started) = started {
        let local = matches!(
            &outcome,
            Ok(Answered {
                served: Served::Local { .. },
                ..
            })
        );
        meters.took(call.method, local, started.elapsed());
    }
    outcome
}

/// The answer to a call that need not wait for anything: most calls, so their futures hold no more
/// than they need.
fn at_once(call: &Call<'_>, message: &Bytes) -> Option<Result<Answered, Failure>> {
    if let Err(failure) = call.check_terms() {
        return Some(Err(failure));
    }
    match handling(call.method) {
        Handling::Range => read::at_once(call, message),
        Handling::Members => Some(Ok(cluster::members(call))),
        Handling::Txn | Handling::Noted | Handling::Home => None,
    }
}

async fn handle(call: &Call<'_>, message: Bytes) -> Result<Answered, Failure> {
    match handling(call.method) {
        Handling::Range => read::range(call, message).await,
        Handling::Txn => Box::pin(txn::answer(call, message)).await,
        Handling::Members => Ok(cluster::members(call)),
        Handling::Noted => Box::pin(forward::noted(call, message)).await,
        Handling::Home => Box::pin(forward::unary(call, message)).await,
    }
}

const fn handling(method: Method) -> Handling {
    match method {
        Method::KvRange => Handling::Range,
        Method::KvTxn => Handling::Txn,
        Method::ClusterMemberList => Handling::Members,
        Method::KvCompact | Method::AuthEnable | Method::AuthDisable => Handling::Noted,
        // The streams are not unary, and never come here.
        Method::KvRangeStream
        | Method::Watch
        | Method::LeaseKeepAlive
        | Method::MaintenanceSnapshot
        | Method::ElectionObserve
        | Method::KvPut
        | Method::KvDeleteRange
        | Method::LeaseGrant
        | Method::LeaseRevoke
        | Method::LeaseTimeToLive
        | Method::LeaseLeases
        | Method::ClusterMemberAdd
        | Method::ClusterMemberRemove
        | Method::ClusterMemberUpdate
        | Method::ClusterMemberPromote
        | Method::MaintenanceAlarm
        | Method::MaintenanceStatus
        | Method::MaintenanceDefragment
        | Method::MaintenanceHash
        | Method::MaintenanceHashKv
        | Method::MaintenanceMoveLeader
        | Method::MaintenanceDowngrade
        | Method::AuthStatus
        | Method::AuthAuthenticate
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
        | Method::AuthRoleRevokePermission
        | Method::LockLock
        | Method::LockUnlock
        | Method::ElectionCampaign
        | Method::ElectionProclaim
        | Method::ElectionLeader
        | Method::ElectionResign => Handling::Home,
    }
}
