//! What a configuration holds once it has been read: types that cannot be wrong.
//!
//! Each field says its unit, its default and its effect; the defaults themselves are in
//! `layers/defaults*.toml`. Serialising gives the schema back, so that `effective` can be read
//! again.

mod link;
mod roles;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Serialize, Serializer};

use crate::endpoint::Endpoint;

pub use link::{Congestion, Hub, Link, LinkWindow, Uplink};
pub use roles::Roles;

/// The configuration of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conf {
    /// Who this node is.
    pub node: Node,
    /// What it does, and by which way it comes to the home.
    pub roles: Roles,
    /// The admin port.
    pub admin: Admin,
    /// What is logged.
    pub log: Log,
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its name, unique in its region; default the machine's host name.
    pub name: String,
    /// The region it stands in; no default.
    pub region: String,
    /// How long a stop waits for calls under way; default 10s.
    #[serde(serialize_with = "duration")]
    pub drain_timeout: Duration,
}

/// The cluster that accepts writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Home {
    /// Its client endpoints, one at least; no default.
    pub endpoints: Vec<Endpoint>,
    /// How long a call that its client gave no deadline may take; default 10s.
    #[serde(serialize_with = "duration")]
    pub call_timeout: Duration,
    /// How `https` endpoints are trusted and what is shown to them; default: the system's
    /// authorities, no client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// A client's side of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientTls {
    /// PEM file of the authorities to trust; default the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The client certificate; default none.
    #[serde(flatten)]
    pub identity: Option<FilePair>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilePair {
    /// The certificate, then its issuers.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The gateway role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gateway {
    /// The etcd door.
    pub etcd: Etcd,
    /// The local copy of the keyspace.
    pub replica: Replica,
}

/// The etcd door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Etcd {
    /// Where it listens for gRPC and JSON; default 127.0.0.1:2379; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The client URLs that `MemberList` answers; default: where it listens.
    #[serde(skip_serializing_if = "Advertise::is_listener")]
    pub advertise: Advertise,
    /// How often a quiet watch that asked for progress is told how far it has come; default 10m, as
    /// in etcd; 100ms at least.
    #[serde(serialize_with = "duration")]
    pub progress_notify_interval: Duration,
    /// TLS towards clients; default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
}

/// The client URLs a gateway tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Advertise {
    /// The address it listens on, with the port it got.
    Listener,
    /// These; one at least.
    Urls(Vec<Endpoint>),
}

impl Advertise {
    fn is_listener(&self) -> bool {
        matches!(self, Self::Listener)
    }

    /// The URLs, for a door that listens on `bound`.
    pub fn urls(&self, bound: SocketAddr, tls: Option<&ServerTls>) -> Vec<String> {
        match (self, tls) {
            (Self::Urls(urls), _) => urls.iter().map(Endpoint::to_string).collect(),
            (Self::Listener, None) => vec![format!("http://{bound}")],
            (Self::Listener, Some(_)) => vec![format!("https://{bound}")],
        }
    }
}

/// A server's side of TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServerTls {
    /// The server's certificate and key.
    #[serde(flatten)]
    pub identity: FilePair,
    /// PEM file of the authorities whose client certificates are admitted; default: clients need
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
}

/// The local copy of the keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// Bytes of history kept behind the current revision; default 268435456 (256 MiB).
    pub history_bytes: u64,
    /// Revisions of history kept; default 1000000. Older reads and watches go to the home.
    pub history_revisions: u64,
    /// How often the home is asked for its revision when nothing else does, once for all of a
    /// region behind a hub; default 100ms.
    #[serde(serialize_with = "duration")]
    pub probe_interval: Duration,
    /// How stale the replica may be for `/readyz` to answer 200; default 10s.
    #[serde(serialize_with = "duration")]
    pub ready_staleness: Duration,
}

/// The admin port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Admin {
    /// Where `/healthz`, `/readyz`, `/metrics`, `/status.json` and `/status-all.json` are; default 127.0.0.1:19379;
    /// port 0 takes a free one. No TLS, no passwords: keep it off public networks.
    pub listen: SocketAddr,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Log {
    /// How a line looks; default text.
    pub format: LogFormat,
    /// From which level on, and per target: `info,meridian_engine=debug`; default info.
    pub level: String,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*value))
}
