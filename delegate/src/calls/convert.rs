//! Between what a home speaks of and what goes over the wire.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use meridian_home::{CallError, Description, EndpointStatus, Facts, Fate, FollowError};
use meridian_keyspace::Revision;
use tonic::{Code, metadata::MetadataMap};

use crate::link::wire::{Entry, Failure, HomeDescription, HomeEndpoint, HomeFacts};

/// How a fate is written.
const NOT_SENT: i32 = 1;
const REFUSED: i32 = 2;
const UNKNOWN: i32 = 3;

/// Metadata is not what a header can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the metadata has a key or a value that no header can hold")]
pub(super) struct NotMetadata;

pub(super) fn entries(metadata: &MetadataMap) -> Vec<Entry> {
    let entry = |(key, value): (&HeaderName, &HeaderValue)| Entry {
        key: key.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    metadata.as_ref().iter().map(entry).collect()
}

pub(super) fn metadata(entries: Vec<Entry>) -> Result<MetadataMap, NotMetadata> {
    let mut headers = HeaderMap::with_capacity(entries.len());
    for Entry { key, value } in entries {
        let key = HeaderName::from_bytes(key.as_bytes()).map_err(|_| NotMetadata)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| NotMetadata)?;
        headers.try_append(key, value).map_err(|_| NotMetadata)?;
    }
    Ok(MetadataMap::from_headers(headers))
}

pub(super) fn failure(error: &CallError) -> Failure {
    Failure {
        code: error.code as i32,
        message: error.message.clone(),
        metadata: entries(&error.metadata),
        fate: match error.fate {
            Fate::NotSent => NOT_SENT,
            Fate::Refused => REFUSED,
            Fate::Unknown => UNKNOWN,
        },
        compacted: None,
    }
}

pub(super) fn call_error(failure: Failure) -> CallError {
    let Failure {
        code,
        message,
        metadata: entries,
        fate,
        compacted: _,
    } = failure;
    CallError {
        code: Code::from_i32(code),
        message,
        metadata: metadata(entries).unwrap_or_default(),
        fate: match fate {
            NOT_SENT => Fate::NotSent,
            REFUSED => Fate::Refused,
            _ => Fate::Unknown,
        },
    }
}

pub(super) fn follow_failure(error: &FollowError) -> Failure {
    match error {
        FollowError::Call(error) => failure(error),
        FollowError::Compacted { compacted } => Failure {
            code: Code::OutOfRange as i32,
            message: error.to_string(),
            metadata: Vec::new(),
            fate: REFUSED,
            compacted: Some(compacted.get()),
        },
    }
}

pub(super) fn follow_error(failure: Failure) -> FollowError {
    match failure.compacted {
        Some(compacted) => FollowError::Compacted {
            compacted: Revision::new(compacted),
        },
        None => call_error(failure).into(),
    }
}

pub(super) fn home_facts(facts: Facts) -> HomeFacts {
    let Facts {
        cluster_id,
        member_id,
        raft_term,
        revision,
    } = facts;
    HomeFacts {
        cluster_id,
        member_id,
        raft_term,
        revision: revision.get(),
    }
}

pub(super) fn facts(facts: HomeFacts) -> Facts {
    let HomeFacts {
        cluster_id,
        member_id,
        raft_term,
        revision,
    } = facts;
    Facts {
        cluster_id,
        member_id,
        raft_term,
        revision: Revision::new(revision),
    }
}

pub(super) fn home_description(description: Description) -> HomeDescription {
    let Description {
        kind,
        replicated,
        version,
        endpoints,
    } = description;
    let endpoint = |status: EndpointStatus| {
        let EndpointStatus {
            url,
            version,
            healthy,
            last_error,
            warning,
        } = status;
        HomeEndpoint {
            url,
            version,
            healthy,
            last_error,
            warning,
        }
    };
    HomeDescription {
        kind: kind.to_owned(),
        replicated,
        version,
        endpoints: endpoints.into_iter().map(endpoint).collect(),
    }
}

pub(super) fn description(told: HomeDescription) -> Description {
    let HomeDescription {
        kind,
        replicated,
        version,
        endpoints,
    } = told;
    let status = |endpoint: HomeEndpoint| {
        let HomeEndpoint {
            url,
            version,
            healthy,
            last_error,
            warning,
        } = endpoint;
        EndpointStatus {
            url,
            version,
            healthy,
            last_error,
            warning,
        }
    };
    Description {
        kind: match kind.as_str() {
            "etcd" => "etcd",
            "embedded" => "embedded",
            _ => "of a kind that this release does not know",
        },
        replicated,
        version,
        endpoints: endpoints.into_iter().map(status).collect(),
    }
}
