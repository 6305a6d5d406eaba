//! The Auth service, with authentication off: what etcd answers then.
//!
//! Users and roles are not kept here, so what would create them is refused rather than forgotten.

use bytes::Bytes;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};

use super::{
    node::{Node, decode, encode},
    refuse,
};
use crate::CallError;

/// The revision of an auth store that nobody has touched.
const AUTH_REVISION: u64 = 1;

pub(super) fn status(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::AuthStatusRequest {} = decode(message)?;
    let header = node.header();
    Ok(encode(&pb::AuthStatusResponse {
        header,
        enabled: false,
        auth_revision: AUTH_REVISION,
    }))
}

/// Switching off what is off succeeds.
pub(super) fn disable(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::AuthDisableRequest {} = decode(message)?;
    Ok(encode(&pb::AuthDisableResponse {
        header: node.header(),
    }))
}

pub(super) fn authenticate(message: Bytes) -> Result<Bytes, CallError> {
    let _: pb::AuthenticateRequest = decode(message)?;
    Err(refuse::with(EtcdError::AUTH_NOT_ENABLED))
}

pub(super) fn unsupported() -> CallError {
    refuse::unsupported("users, roles and permissions are not kept")
}
