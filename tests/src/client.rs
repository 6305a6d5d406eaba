//! A raw etcd client: one connection, every call as it is on the wire, no retries, no cleverness.
//!
//! A status is handed out untouched, metadata and trailers included, because they are what is tested.

mod untouched;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::uri::PathAndQuery;
use meridian_etcd_api::{etcdserverpb as pb, v3electionpb as election, v3lockpb as lock};
use prost::Message;
use tonic::{
    Request, Response, Status,
    client::Grpc,
    codec::Codec,
    metadata::{AsciiMetadataValue, MetadataMap},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::{conversation::Conversation, pki::Identity};
use untouched::BytesCodec;

/// Above every deadline a server has for one call (etcd: 5 s + 2 elections).
const CALL_PATIENCE: Duration = Duration::from_secs(20);

/// One connection to one endpoint.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    metadata: MetadataMap,
}

impl Client {
    /// A client that connects on its first call.
    ///
    /// # Errors
    /// When `url` is none.
    pub fn connect(url: &str) -> Result<Self> {
        let endpoint = Endpoint::from_shared(url.to_owned()).context("an endpoint is a URL")?;
        // A Status must not hide behind a slow connect: loopback answers at once or never.
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5));
        Ok(Self {
            channel: endpoint.connect_lazy(),
            metadata: MetadataMap::new(),
        })
    }

    /// A client over TLS that trusts `ca` and shows `identity`, if it has one.
    ///
    /// # Errors
    /// When `url` is none, or a file cannot be read.
    pub fn connect_tls(url: &str, ca: &Path, identity: Option<&Identity>) -> Result<Self> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(ca)?));
        if let Some(Identity { cert, key }) = identity {
            let (cert, key) = (fs::read(cert)?, fs::read(key)?);
            tls = tls.identity(tonic::transport::Identity::from_pem(cert, key));
        }
        let endpoint = Endpoint::from_shared(url.to_owned()).context("an endpoint is a URL")?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5));
        Ok(Self {
            channel: endpoint.tls_config(tls)?.connect_lazy(),
            metadata: MetadataMap::new(),
        })
    }

    /// The same connection with one more metadata entry on every call.
    ///
    /// # Errors
    /// When `value` cannot be a header.
    pub fn with(&self, key: &'static str, value: &str) -> Result<Self> {
        let mut other = self.clone();
        let value = AsciiMetadataValue::try_from(value).context("metadata is printable ASCII")?;
        other.metadata.insert(key, value);
        Ok(other)
    }

    /// The same connection, asking to be told when the cluster has no leader.
    ///
    /// # Errors
    /// Never in practice.
    pub fn requiring_leader(&self) -> Result<Self> {
        self.with("hasleader", "true")
    }

    fn grpc(&self) -> Grpc<Channel> {
        Grpc::new(self.channel.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        request
    }

    /// Calls `path` with one message and takes one back, the metadata of the answer included.
    ///
    /// # Errors
    /// The status that the server answered.
    pub async fn unary<Q, A>(&self, path: &'static str, message: Q) -> Result<Response<A>, Status>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        self.unary_coded(path, message, ProstCodec::<Q, A>::default())
            .await
    }

    /// Calls `path` with these very bytes.
    ///
    /// # Errors
    /// The status that the server answered.
    pub async fn unary_bytes(&self, path: &'static str, message: Bytes) -> Result<Bytes, Status> {
        self.unary_coded(path, message, BytesCodec)
            .await
            .map(Response::into_inner)
    }

    async fn unary_coded<Q, A, C>(
        &self,
        path: &'static str,
        message: Q,
        codec: C,
    ) -> Result<Response<A>, Status>
    where
        Q: Send + Sync + 'static,
        A: Send + Sync + 'static,
        C: Codec<Encode = Q, Decode = A> + Send + Sync + 'static,
    {
        let mut grpc = self.grpc();
        let call = async {
            grpc.ready()
                .await
                .map_err(|error| Status::unavailable(format!("connect: {error}")))?;
            grpc.unary(
                self.request(message),
                PathAndQuery::from_static(path),
                codec,
            )
            .await
        };
        let answer = tokio::time::timeout(CALL_PATIENCE, call).await;
        answer.unwrap_or_else(|_| {
            Err(Status::unknown(format!(
                "no answer within {CALL_PATIENCE:?} (harness)"
            )))
        })
    }

    /// Opens a stream in both directions.
    #[must_use]
    pub fn converse<Q, A>(&self, path: &'static str) -> Conversation<Q, A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        Conversation::open(
            self.grpc(),
            self.metadata.clone(),
            path,
            ProstCodec::default(),
        )
    }

    /// Opens a stream in both directions that carries these very bytes.
    #[must_use]
    pub fn converse_bytes(&self, path: &'static str) -> Conversation<Bytes, Bytes> {
        Conversation::open(self.grpc(), self.metadata.clone(), path, BytesCodec)
    }

    /// Sends one message and listens to a stream.
    #[must_use]
    pub fn listen<Q, A>(&self, path: &'static str, message: Q) -> Conversation<Q, A>
    where
        Q: Message + Send + Sync + 'static,
        A: Message + Default + Send + Sync + 'static,
    {
        let mut conversation = self.converse(path);
        conversation.send(message);
        conversation.half_close();
        conversation
    }
}

macro_rules! calls {
    ($($name:ident: $path:literal, $request:ty => $answer:ty;)*) => {
        impl Client {$(
            #[doc = concat!("Calls `", $path, "`.")]
            ///
            /// # Errors
            /// The status that the server answered.
            pub async fn $name(&self, request: $request) -> Result<$answer, Status> {
                self.unary($path, request).await.map(Response::into_inner)
            }
        )*}
    };
}

calls! {
    range: "/etcdserverpb.KV/Range", pb::RangeRequest => pb::RangeResponse;
    put: "/etcdserverpb.KV/Put", pb::PutRequest => pb::PutResponse;
    delete: "/etcdserverpb.KV/DeleteRange", pb::DeleteRangeRequest => pb::DeleteRangeResponse;
    txn: "/etcdserverpb.KV/Txn", pb::TxnRequest => pb::TxnResponse;
    compact: "/etcdserverpb.KV/Compact", pb::CompactionRequest => pb::CompactionResponse;
    lease_grant: "/etcdserverpb.Lease/LeaseGrant", pb::LeaseGrantRequest => pb::LeaseGrantResponse;
    lease_revoke: "/etcdserverpb.Lease/LeaseRevoke", pb::LeaseRevokeRequest => pb::LeaseRevokeResponse;
    lease_time_to_live: "/etcdserverpb.Lease/LeaseTimeToLive",
        pb::LeaseTimeToLiveRequest => pb::LeaseTimeToLiveResponse;
    lease_leases: "/etcdserverpb.Lease/LeaseLeases", pb::LeaseLeasesRequest => pb::LeaseLeasesResponse;
    member_list: "/etcdserverpb.Cluster/MemberList", pb::MemberListRequest => pb::MemberListResponse;
    member_remove: "/etcdserverpb.Cluster/MemberRemove", pb::MemberRemoveRequest => pb::MemberRemoveResponse;
    member_update: "/etcdserverpb.Cluster/MemberUpdate", pb::MemberUpdateRequest => pb::MemberUpdateResponse;
    member_promote: "/etcdserverpb.Cluster/MemberPromote", pb::MemberPromoteRequest => pb::MemberPromoteResponse;
    status: "/etcdserverpb.Maintenance/Status", pb::StatusRequest => pb::StatusResponse;
    alarm: "/etcdserverpb.Maintenance/Alarm", pb::AlarmRequest => pb::AlarmResponse;
    defragment: "/etcdserverpb.Maintenance/Defragment", pb::DefragmentRequest => pb::DefragmentResponse;
    hash: "/etcdserverpb.Maintenance/Hash", pb::HashRequest => pb::HashResponse;
    hash_kv: "/etcdserverpb.Maintenance/HashKV", pb::HashKvRequest => pb::HashKvResponse;
    move_leader: "/etcdserverpb.Maintenance/MoveLeader", pb::MoveLeaderRequest => pb::MoveLeaderResponse;
    downgrade: "/etcdserverpb.Maintenance/Downgrade", pb::DowngradeRequest => pb::DowngradeResponse;
    auth_enable: "/etcdserverpb.Auth/AuthEnable", pb::AuthEnableRequest => pb::AuthEnableResponse;
    auth_disable: "/etcdserverpb.Auth/AuthDisable", pb::AuthDisableRequest => pb::AuthDisableResponse;
    auth_status: "/etcdserverpb.Auth/AuthStatus", pb::AuthStatusRequest => pb::AuthStatusResponse;
    authenticate: "/etcdserverpb.Auth/Authenticate", pb::AuthenticateRequest => pb::AuthenticateResponse;
    user_add: "/etcdserverpb.Auth/UserAdd", pb::AuthUserAddRequest => pb::AuthUserAddResponse;
    user_get: "/etcdserverpb.Auth/UserGet", pb::AuthUserGetRequest => pb::AuthUserGetResponse;
    user_list: "/etcdserverpb.Auth/UserList", pb::AuthUserListRequest => pb::AuthUserListResponse;
    user_grant_role: "/etcdserverpb.Auth/UserGrantRole", pb::AuthUserGrantRoleRequest => pb::AuthUserGrantRoleResponse;
    role_add: "/etcdserverpb.Auth/RoleAdd", pb::AuthRoleAddRequest => pb::AuthRoleAddResponse;
    role_grant_permission: "/etcdserverpb.Auth/RoleGrantPermission",
        pb::AuthRoleGrantPermissionRequest => pb::AuthRoleGrantPermissionResponse;
    lock: "/v3lockpb.Lock/Lock", lock::LockRequest => lock::LockResponse;
    unlock: "/v3lockpb.Lock/Unlock", lock::UnlockRequest => lock::UnlockResponse;
    campaign: "/v3electionpb.Election/Campaign", election::CampaignRequest => election::CampaignResponse;
    proclaim: "/v3electionpb.Election/Proclaim", election::ProclaimRequest => election::ProclaimResponse;
    election_leader: "/v3electionpb.Election/Leader", election::LeaderRequest => election::LeaderResponse;
    resign: "/v3electionpb.Election/Resign", election::ResignRequest => election::ResignResponse;
}
