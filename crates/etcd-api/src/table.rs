//! The one table of methods: variant, path, shape, effect, messages, JSON routes.
//!
//! `method_table!(apply)` hands the rows to the macro `apply`; [`crate::method`] and
//! [`crate::transcode`] are both written that way, so a method cannot be in one and not in the other.
//! The first route of a row is the one to print; the rest are aliases.

macro_rules! method_table {
    ($apply:ident) => {
        $apply! {
            KvRange "/etcdserverpb.KV/Range" Unary Read
                etcdserverpb::RangeRequest => etcdserverpb::RangeResponse
                ["/v3/kv/range"];
            KvRangeStream "/etcdserverpb.KV/RangeStream" ServerStream Read
                etcdserverpb::RangeRequest => etcdserverpb::RangeStreamResponse
                [];
            KvPut "/etcdserverpb.KV/Put" Unary Write
                etcdserverpb::PutRequest => etcdserverpb::PutResponse
                ["/v3/kv/put"];
            KvDeleteRange "/etcdserverpb.KV/DeleteRange" Unary Write
                etcdserverpb::DeleteRangeRequest => etcdserverpb::DeleteRangeResponse
                ["/v3/kv/deleterange"];
            KvTxn "/etcdserverpb.KV/Txn" Unary Write
                etcdserverpb::TxnRequest => etcdserverpb::TxnResponse
                ["/v3/kv/txn"];
            KvCompact "/etcdserverpb.KV/Compact" Unary Write
                etcdserverpb::CompactionRequest => etcdserverpb::CompactionResponse
                ["/v3/kv/compaction"];

            Watch "/etcdserverpb.Watch/Watch" Bidi Read
                etcdserverpb::WatchRequest => etcdserverpb::WatchResponse
                ["/v3/watch"];

            LeaseGrant "/etcdserverpb.Lease/LeaseGrant" Unary Write
                etcdserverpb::LeaseGrantRequest => etcdserverpb::LeaseGrantResponse
                ["/v3/lease/grant"];
            LeaseRevoke "/etcdserverpb.Lease/LeaseRevoke" Unary Write
                etcdserverpb::LeaseRevokeRequest => etcdserverpb::LeaseRevokeResponse
                ["/v3/lease/revoke", "/v3/kv/lease/revoke"];
            LeaseKeepAlive "/etcdserverpb.Lease/LeaseKeepAlive" Bidi Write
                etcdserverpb::LeaseKeepAliveRequest => etcdserverpb::LeaseKeepAliveResponse
                ["/v3/lease/keepalive"];
            LeaseTimeToLive "/etcdserverpb.Lease/LeaseTimeToLive" Unary Read
                etcdserverpb::LeaseTimeToLiveRequest => etcdserverpb::LeaseTimeToLiveResponse
                ["/v3/lease/timetolive", "/v3/kv/lease/timetolive"];
            LeaseLeases "/etcdserverpb.Lease/LeaseLeases" Unary Read
                etcdserverpb::LeaseLeasesRequest => etcdserverpb::LeaseLeasesResponse
                ["/v3/lease/leases", "/v3/kv/lease/leases"];

            ClusterMemberAdd "/etcdserverpb.Cluster/MemberAdd" Unary Write
                etcdserverpb::MemberAddRequest => etcdserverpb::MemberAddResponse
                ["/v3/cluster/member/add"];
            ClusterMemberRemove "/etcdserverpb.Cluster/MemberRemove" Unary Write
                etcdserverpb::MemberRemoveRequest => etcdserverpb::MemberRemoveResponse
                ["/v3/cluster/member/remove"];
            ClusterMemberUpdate "/etcdserverpb.Cluster/MemberUpdate" Unary Write
                etcdserverpb::MemberUpdateRequest => etcdserverpb::MemberUpdateResponse
                ["/v3/cluster/member/update"];
            ClusterMemberList "/etcdserverpb.Cluster/MemberList" Unary Read
                etcdserverpb::MemberListRequest => etcdserverpb::MemberListResponse
                ["/v3/cluster/member/list"];
            ClusterMemberPromote "/etcdserverpb.Cluster/MemberPromote" Unary Write
                etcdserverpb::MemberPromoteRequest => etcdserverpb::MemberPromoteResponse
                ["/v3/cluster/member/promote"];

            MaintenanceAlarm "/etcdserverpb.Maintenance/Alarm" Unary Write
                etcdserverpb::AlarmRequest => etcdserverpb::AlarmResponse
                ["/v3/maintenance/alarm"];
            MaintenanceStatus "/etcdserverpb.Maintenance/Status" Unary Read
                etcdserverpb::StatusRequest => etcdserverpb::StatusResponse
                ["/v3/maintenance/status"];
            MaintenanceDefragment "/etcdserverpb.Maintenance/Defragment" Unary Write
                etcdserverpb::DefragmentRequest => etcdserverpb::DefragmentResponse
                ["/v3/maintenance/defragment"];
            MaintenanceHash "/etcdserverpb.Maintenance/Hash" Unary Read
                etcdserverpb::HashRequest => etcdserverpb::HashResponse
                ["/v3/maintenance/hash"];
            MaintenanceHashKv "/etcdserverpb.Maintenance/HashKV" Unary Read
                etcdserverpb::HashKvRequest => etcdserverpb::HashKvResponse
                ["/v3/maintenance/hashkv"];
            MaintenanceSnapshot "/etcdserverpb.Maintenance/Snapshot" ServerStream Read
                etcdserverpb::SnapshotRequest => etcdserverpb::SnapshotResponse
                ["/v3/maintenance/snapshot"];
            MaintenanceMoveLeader "/etcdserverpb.Maintenance/MoveLeader" Unary Write
                etcdserverpb::MoveLeaderRequest => etcdserverpb::MoveLeaderResponse
                ["/v3/maintenance/transfer-leadership"];
            MaintenanceDowngrade "/etcdserverpb.Maintenance/Downgrade" Unary Write
                etcdserverpb::DowngradeRequest => etcdserverpb::DowngradeResponse
                ["/v3/maintenance/downgrade"];

            AuthEnable "/etcdserverpb.Auth/AuthEnable" Unary Write
                etcdserverpb::AuthEnableRequest => etcdserverpb::AuthEnableResponse
                ["/v3/auth/enable"];
            AuthDisable "/etcdserverpb.Auth/AuthDisable" Unary Write
                etcdserverpb::AuthDisableRequest => etcdserverpb::AuthDisableResponse
                ["/v3/auth/disable"];
            AuthStatus "/etcdserverpb.Auth/AuthStatus" Unary Read
                etcdserverpb::AuthStatusRequest => etcdserverpb::AuthStatusResponse
                ["/v3/auth/status"];
            AuthAuthenticate "/etcdserverpb.Auth/Authenticate" Unary Token
                etcdserverpb::AuthenticateRequest => etcdserverpb::AuthenticateResponse
                ["/v3/auth/authenticate"];
            AuthUserAdd "/etcdserverpb.Auth/UserAdd" Unary Write
                etcdserverpb::AuthUserAddRequest => etcdserverpb::AuthUserAddResponse
                ["/v3/auth/user/add"];
            AuthUserGet "/etcdserverpb.Auth/UserGet" Unary Read
                etcdserverpb::AuthUserGetRequest => etcdserverpb::AuthUserGetResponse
                ["/v3/auth/user/get"];
            AuthUserList "/etcdserverpb.Auth/UserList" Unary Read
                etcdserverpb::AuthUserListRequest => etcdserverpb::AuthUserListResponse
                ["/v3/auth/user/list"];
            AuthUserDelete "/etcdserverpb.Auth/UserDelete" Unary Write
                etcdserverpb::AuthUserDeleteRequest => etcdserverpb::AuthUserDeleteResponse
                ["/v3/auth/user/delete"];
            AuthUserChangePassword "/etcdserverpb.Auth/UserChangePassword" Unary Write
                etcdserverpb::AuthUserChangePasswordRequest => etcdserverpb::AuthUserChangePasswordResponse
                ["/v3/auth/user/changepw"];
            AuthUserGrantRole "/etcdserverpb.Auth/UserGrantRole" Unary Write
                etcdserverpb::AuthUserGrantRoleRequest => etcdserverpb::AuthUserGrantRoleResponse
                ["/v3/auth/user/grant"];
            AuthUserRevokeRole "/etcdserverpb.Auth/UserRevokeRole" Unary Write
                etcdserverpb::AuthUserRevokeRoleRequest => etcdserverpb::AuthUserRevokeRoleResponse
                ["/v3/auth/user/revoke"];
            AuthRoleAdd "/etcdserverpb.Auth/RoleAdd" Unary Write
                etcdserverpb::AuthRoleAddRequest => etcdserverpb::AuthRoleAddResponse
                ["/v3/auth/role/add"];
            AuthRoleGet "/etcdserverpb.Auth/RoleGet" Unary Read
                etcdserverpb::AuthRoleGetRequest => etcdserverpb::AuthRoleGetResponse
                ["/v3/auth/role/get"];
            AuthRoleList "/etcdserverpb.Auth/RoleList" Unary Read
                etcdserverpb::AuthRoleListRequest => etcdserverpb::AuthRoleListResponse
                ["/v3/auth/role/list"];
            AuthRoleDelete "/etcdserverpb.Auth/RoleDelete" Unary Write
                etcdserverpb::AuthRoleDeleteRequest => etcdserverpb::AuthRoleDeleteResponse
                ["/v3/auth/role/delete"];
            AuthRoleGrantPermission "/etcdserverpb.Auth/RoleGrantPermission" Unary Write
                etcdserverpb::AuthRoleGrantPermissionRequest => etcdserverpb::AuthRoleGrantPermissionResponse
                ["/v3/auth/role/grant"];
            AuthRoleRevokePermission "/etcdserverpb.Auth/RoleRevokePermission" Unary Write
                etcdserverpb::AuthRoleRevokePermissionRequest => etcdserverpb::AuthRoleRevokePermissionResponse
                ["/v3/auth/role/revoke"];

            LockLock "/v3lockpb.Lock/Lock" Unary Write
                v3lockpb::LockRequest => v3lockpb::LockResponse
                ["/v3/lock/lock"];
            LockUnlock "/v3lockpb.Lock/Unlock" Unary Write
                v3lockpb::UnlockRequest => v3lockpb::UnlockResponse
                ["/v3/lock/unlock"];

            ElectionCampaign "/v3electionpb.Election/Campaign" Unary Write
                v3electionpb::CampaignRequest => v3electionpb::CampaignResponse
                ["/v3/election/campaign"];
            ElectionProclaim "/v3electionpb.Election/Proclaim" Unary Write
                v3electionpb::ProclaimRequest => v3electionpb::ProclaimResponse
                ["/v3/election/proclaim"];
            ElectionLeader "/v3electionpb.Election/Leader" Unary Read
                v3electionpb::LeaderRequest => v3electionpb::LeaderResponse
                ["/v3/election/leader"];
            ElectionObserve "/v3electionpb.Election/Observe" ServerStream Read
                v3electionpb::LeaderRequest => v3electionpb::LeaderResponse
                ["/v3/election/observe"];
            ElectionResign "/v3electionpb.Election/Resign" Unary Write
                v3electionpb::ResignRequest => v3electionpb::ResignResponse
                ["/v3/election/resign"];
        }
    };
}
pub(crate) use method_table;
