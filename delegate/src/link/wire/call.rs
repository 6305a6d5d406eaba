//! Heads and answers of calls.

use bytes::Bytes;

/// One entry of gRPC metadata, as it stands in a header: the value of a `-bin` key is not decoded.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// Its key, in lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Its value.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// Begins a call; the message, or messages, follow.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CallHead {
    /// The gRPC path, `/package.Service/Method`.
    #[prost(string, tag = "1")]
    pub method: String,
    /// The client's metadata.
    #[prost(message, repeated, tag = "2")]
    pub metadata: Vec<Entry>,
    /// How long the client still waits; for as long as the home takes, if absent.
    #[prost(uint64, optional, tag = "3")]
    pub timeout_ms: Option<u64>,
}

/// Why a call failed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Failure {
    /// The gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The text.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Trailing metadata.
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<Entry>,
    /// Whether it may have taken effect: 1 not sent, 2 refused, all else unknown.
    #[prost(int32, tag = "4")]
    pub fate: i32,
    /// Set if history is compacted: up to which revision (zero if not known).
    #[prost(int64, optional, tag = "5")]
    pub compacted: Option<i64>,
}

/// A call was answered; the message follows, or messages do.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Outcome {
    /// Response metadata.
    #[prost(message, repeated, tag = "1")]
    pub metadata: Vec<Entry>,
}

/// Who answered and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HomeFacts {
    /// The cluster.
    #[prost(fixed64, tag = "1")]
    pub cluster_id: u64,
    /// The member.
    #[prost(fixed64, tag = "2")]
    pub member_id: u64,
    /// Its raft term.
    #[prost(uint64, tag = "3")]
    pub raft_term: u64,
    /// Its revision.
    #[prost(int64, tag = "4")]
    pub revision: i64,
}

/// Whether something is so.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct YesNo {
    /// It is.
    #[prost(bool, tag = "1")]
    pub yes: bool,
}

/// What a home is and how it is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HomeDescription {
    /// Its kind.
    #[prost(string, tag = "1")]
    pub kind: String,
    /// Whether a write survives the loss of one machine.
    #[prost(bool, tag = "2")]
    pub replicated: bool,
    /// The lowest version of its endpoints.
    #[prost(string, optional, tag = "3")]
    pub version: Option<String>,
    /// Its endpoints.
    #[prost(message, repeated, tag = "4")]
    pub endpoints: Vec<HomeEndpoint>,
}

/// One endpoint of a home.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HomeEndpoint {
    /// Its address.
    #[prost(string, tag = "1")]
    pub url: String,
    /// Its version.
    #[prost(string, optional, tag = "2")]
    pub version: Option<String>,
    /// Whether it works.
    #[prost(bool, tag = "3")]
    pub healthy: bool,
    /// What was wrong last.
    #[prost(string, optional, tag = "4")]
    pub last_error: Option<String>,
    /// A warning for its version.
    #[prost(string, optional, tag = "5")]
    pub warning: Option<String>,
}

/// Begins every answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CallAnswer {
    /// What it says; none if this release does not know it.
    #[prost(oneof = "answer::Body", tags = "1, 2, 3, 4, 5")]
    pub body: Option<answer::Body>,
}

/// The kinds of [`CallAnswer`].
pub mod answer {
    /// What an answer says.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Body {
        /// It failed.
        #[prost(message, tag = "1")]
        Failure(super::Failure),
        /// A call's answer.
        #[prost(message, tag = "2")]
        Outcome(super::Outcome),
        /// A read index.
        #[prost(message, tag = "3")]
        Facts(super::HomeFacts),
        /// Whether authentication is enabled.
        #[prost(message, tag = "4")]
        YesNo(super::YesNo),
        /// What the home is.
        #[prost(message, tag = "5")]
        Description(super::HomeDescription),
    }

    impl From<Body> for super::CallAnswer {
        fn from(body: Body) -> Self {
            Self { body: Some(body) }
        }
    }
}

/// Asks for the changes of one range, in etcd's terms.
#[derive(Clone, PartialEq, prost::Message)]
pub struct FollowHead {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The range's end.
    #[prost(bytes = "bytes", tag = "2")]
    pub range_end: Bytes,
    /// The first revision.
    #[prost(int64, tag = "3")]
    pub from: i64,
}
