//! What a call's metadata asks of a gateway, and metadata on its way home and back.
//!
//! Owns the names `hasleader`, `client-api-version`, `grpc-timeout`, `grpc-encoding`,
//! `meridian-min-revision` and `meridian-max-staleness`. Invariant: what cannot be understood is
//! refused by name, never ignored. It knows no message.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use meridian_engine::Level;
use meridian_etcd_api::EtcdError;
use meridian_keyspace::Revision;
use tonic::{Code, metadata::MetadataMap};

use crate::{failure::Failure, frame};

const MIN_REVISION: &str = "meridian-min-revision";
const MAX_STALENESS: &str = "meridian-max-staleness";

/// What all metadata of a call comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// When the client stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// Whether the call is to fail while the home has no leader.
    pub(crate) leader: LeaderWanted,
    /// Whether messages may come compressed.
    pub(crate) encoding: Encoding,
    min_revision: Option<Revision>,
    max_staleness: Option<Duration>,
}

/// The metadata `hasleader: true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LeaderWanted {
    /// It is there.
    Yes,
    /// It is not.
    #[default]
    No,
}

/// The metadata `grpc-encoding`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Absent, or `identity`.
    #[default]
    Identity,
    /// `gzip`: etcd takes it. Messages that are not compressed pass here, others are refused.
    Gzip,
}

/// How fresh a read must be: its level, and the revision it must see whatever the level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadTerms {
    pub(crate) level: Level,
    pub(crate) floor: Revision,
}

impl Terms {
    /// Reads a call's headers.
    ///
    /// # Errors
    /// Metadata that cannot be understood, naming it and what would be right.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let mut terms = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                "grpc-timeout" => terms.deadline = Some(deadline(value)?),
                "grpc-encoding" => terms.encoding = encoding(value)?,
                "hasleader" if value == "true" => terms.leader = LeaderWanted::Yes,
                "client-api-version" if std::str::from_utf8(value.as_bytes()).is_err() => {
                    return Err(EtcdError::INVALID_CLIENT_API_VERSION.into());
                }
                MIN_REVISION => terms.min_revision = Some(min_revision(value)?),
                MAX_STALENESS => terms.max_staleness = Some(max_staleness(value)?),
                _ => {}
            }
        }
        Ok(terms)
    }

    /// The terms of a read whose message says `serializable`, on a connection that has seen
    /// `floor`. Metadata, if given, names the level; given both, the read keeps to both.
    pub(crate) fn of_read(&self, serializable: bool, floor: Revision) -> ReadTerms {
        match (self.min_revision, self.max_staleness) {
            (None, None) if serializable => ReadTerms {
                level: Level::Serializable,
                floor,
            },
            (None, None) => ReadTerms {
                level: Level::Linearizable,
                floor,
            },
            (Some(revision), None) => ReadTerms {
                level: Level::Session(revision),
                floor,
            },
            (None, Some(age)) => ReadTerms {
                level: Level::Bounded(age),
                floor,
            },
            (Some(revision), Some(age)) => ReadTerms {
                level: Level::Bounded(age),
                floor: floor.max(revision),
            },
        }
    }
}

fn invalid(name: &str, value: &HeaderValue, wanted: &str) -> Failure {
    let shown = String::from_utf8_lossy(value.as_bytes());
    let text = format!("meridian: metadata {name}: {shown:?} is not {wanted}");
    Failure::new(Code::InvalidArgument, text)
}

fn min_revision(value: &HeaderValue) -> Result<Revision, Failure> {
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    number
        .filter(|number| *number >= 0)
        .map(Revision::new)
        .ok_or_else(|| invalid(MIN_REVISION, value, "a revision, such as 1042"))
}

fn max_staleness(value: &HeaderValue) -> Result<Duration, Failure> {
    value
        .to_str()
        .ok()
        .and_then(|text| humantime::parse_duration(text).ok())
        .ok_or_else(|| invalid(MAX_STALENESS, value, "a duration, such as 500ms or 2s"))
}

fn encoding(value: &HeaderValue) -> Result<Encoding, Failure> {
    match value.as_bytes() {
        b"" | b"identity" => Ok(Encoding::Identity),
        b"gzip" => Ok(Encoding::Gzip),
        other => Err(frame::no_decompressor(&String::from_utf8_lossy(other))),
    }
}

/// gRPC's `grpc-timeout`: at most eight digits and a unit.
fn deadline(value: &HeaderValue) -> Result<Instant, Failure> {
    let text = String::from_utf8_lossy(value.as_bytes());
    let malformed =
        |reason: String| Failure::new(Code::Internal, format!("malformed grpc-timeout: {reason}"));
    if text.len() < 2 {
        return Err(malformed(format!(
            "transport: timeout string is too short: {text:?}"
        )));
    }
    if text.len() > 9 {
        return Err(malformed(format!(
            "transport: timeout string is too long: {text:?}"
        )));
    }
    let unit = match text.as_bytes()[text.len() - 1] {
        b'H' => Duration::from_secs(3600),
        b'M' => Duration::from_secs(60),
        b'S' => Duration::from_secs(1),
        b'm' => Duration::from_millis(1),
        b'u' => Duration::from_micros(1),
        b'n' => Duration::from_nanos(1),
        _ => {
            let reason = format!("transport: timeout unit is not recognized: {text:?}");
            return Err(malformed(reason));
        }
    };
    let digits = &text[..text.len() - 1];
    // Eight digits of hours at most: far from any overflow of a duration.
    let count = digits.parse::<u32>().map_err(|_| {
        malformed(format!(
            "strconv.ParseInt: parsing {digits:?}: invalid syntax"
        ))
    })?;
    Ok(Instant::now() + unit * count)
}

/// The client's metadata as the home is to see it: all but what belongs to this hop, and ours.
pub(crate) fn to_home(headers: &HeaderMap) -> MetadataMap {
    let kept = headers
        .iter()
        .filter(|(name, _)| !is_of_the_hop(name) && !is_ours(name));
    MetadataMap::from_headers(kept.map(|(k, v)| (k.clone(), v.clone())).collect())
}

/// The home's metadata as the client is to see it.
pub(crate) fn from_home(metadata: MetadataMap) -> HeaderMap {
    let mut headers = metadata.into_headers();
    let drop: Vec<_> = headers
        .keys()
        .filter(|name| is_of_the_hop(name))
        .cloned()
        .collect();
    for name in drop {
        headers.remove(name);
    }
    headers
}

fn is_of_the_hop(name: &HeaderName) -> bool {
    let name = name.as_str();
    name.starts_with("grpc-")
        || matches!(
            name,
            "te" | "content-type"
                | "content-length"
                | "user-agent"
                | "host"
                | "date"
                | "server"
                | "connection"
                | "trailer"
                | "transfer-encoding"
        )
}

fn is_ours(name: &HeaderName) -> bool {
    name.as_str().starts_with("meridian-")
}

#[cfg(test)]
mod tests;
