//! The two messages of a lease keepalive stream, for whoever shares one stream among leases.

use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{
    LeaseKeepAliveRequest, LeaseKeepAliveResponse, ResponseHeader,
};
use meridian_keyspace::{LeaseId, Revision};
use prost::Message;
use tonic::Code;

use crate::{CallError, Facts, Fate};

/// One renewal as the home answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The lease.
    pub lease: LeaseId,
    /// Seconds it lives from now; zero if the home does not know it.
    pub ttl: i64,
    /// Who answered; the revision is the one before the renewal, as etcd fills it in.
    pub facts: Facts,
}

/// The request that renews `lease`.
pub fn request(lease: LeaseId) -> Bytes {
    LeaseKeepAliveRequest { id: lease.get() }
        .encode_to_vec()
        .into()
}

/// The lease that a request asks to renew.
///
/// # Errors
/// If the message is none.
pub fn lease_of(message: &[u8]) -> Result<LeaseId, CallError> {
    match LeaseKeepAliveRequest::decode(message) {
        Ok(request) => Ok(LeaseId::new(request.id)),
        Err(error) => Err(CallError::new(
            Code::InvalidArgument,
            format!("keepalive request: {error}"),
            Fate::Refused,
        )),
    }
}

/// The answer that tells of a renewal.
pub fn answer(renewal: &Renewal) -> Bytes {
    let facts = &renewal.facts;
    let header = ResponseHeader {
        cluster_id: facts.cluster_id,
        member_id: facts.member_id,
        raft_term: facts.raft_term,
        revision: facts.revision.get(),
    };
    let answer = LeaseKeepAliveResponse {
        header: Some(header),
        id: renewal.lease.get(),
        ttl: renewal.ttl,
    };
    answer.encode_to_vec().into()
}

/// Reads an answer.
///
/// # Errors
/// If the message is none; the renewal's outcome is then unknown.
pub fn renewal(message: &[u8]) -> Result<Renewal, CallError> {
    let answer = LeaseKeepAliveResponse::decode(message).map_err(|error| {
        CallError::new(
            Code::Internal,
            format!("keepalive answer: {error}"),
            Fate::Unknown,
        )
    })?;
    let header = answer.header.unwrap_or_default();
    Ok(Renewal {
        lease: LeaseId::new(answer.id),
        ttl: answer.ttl,
        facts: Facts {
            cluster_id: header.cluster_id,
            member_id: header.member_id,
            raft_term: header.raft_term,
            revision: Revision::new(header.revision),
        },
    })
}

#[cfg(test)]
mod tests;
