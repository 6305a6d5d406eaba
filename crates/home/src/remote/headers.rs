//! Which of a client's metadata goes on to the home.
//!
//! Everything does, but what belongs to one HTTP/2 hop, what gRPC itself says with headers, and
//! what is meant for Meridian.

use http::{HeaderMap, HeaderName};
use tonic::metadata::MetadataMap;

/// Metadata of ours begins so.
const OURS: &str = "meridian-";

/// Headers of one hop (RFC 9110, 7.6.1; RFC 9113, 8.2.2) and gRPC's own, which are said anew on
/// the next hop: encoding, timeout, agent.
const OF_ONE_HOP: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "grpc-accept-encoding",
    "grpc-encoding",
    "grpc-message",
    "grpc-message-type",
    "grpc-status",
    "grpc-timeout",
    "host",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// The metadata that the home is to see.
pub(super) fn forwarded(metadata: &MetadataMap) -> MetadataMap {
    if metadata.is_empty() {
        return MetadataMap::new();
    }
    let mut headers = HeaderMap::with_capacity(metadata.len() + 4);
    for (name, value) in metadata.as_ref() {
        if is_forwarded(name) {
            headers.append(name, value.clone());
        }
    }
    MetadataMap::from_headers(headers)
}

fn is_forwarded(name: &HeaderName) -> bool {
    let name = name.as_str();
    !name.starts_with(OURS) && OF_ONE_HOP.binary_search(&name).is_err()
}

#[cfg(test)]
mod tests;
