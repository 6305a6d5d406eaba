//! How a cluster should be, and the flags that make it so.

use std::{net::SocketAddr, path::PathBuf};

use crate::{pki::Identity, release::Release, target::PROGRESS_INTERVAL};

/// What to start.
#[derive(Clone, Debug)]
pub struct ClusterPlan {
    /// Which etcd.
    pub release: &'static Release,
    /// One or three.
    pub members: usize,
    /// Further flags for every member.
    pub flags: Vec<String>,
    /// TLS towards clients.
    pub tls: Option<ClusterTls>,
}

/// TLS of a cluster that wants certificates of its clients.
#[derive(Clone, Debug)]
pub struct ClusterTls {
    /// Whom both sides trust.
    pub ca: PathBuf,
    /// What members show.
    pub server: Identity,
    /// What the test itself shows.
    pub client: Identity,
}

impl ClusterPlan {
    /// A cluster of `members` with nothing unusual about it.
    #[must_use]
    pub fn new(release: &'static Release, members: usize) -> Self {
        Self {
            release,
            members,
            flags: Vec::new(),
            tls: None,
        }
    }

    /// The same with one flag more.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }
}

impl ClusterTls {
    pub(super) fn arguments(&self) -> [String; 4] {
        [
            "--client-cert-auth".to_owned(),
            format!("--trusted-ca-file={}", self.ca.display()),
            format!("--cert-file={}", self.server.cert.display()),
            format!("--key-file={}", self.server.key.display()),
        ]
    }
}

/// Flags of one member: its addresses, and timings short enough for tests.
pub(super) fn arguments(
    name: &str,
    (scheme, client): (&str, SocketAddr),
    peer: SocketAddr,
    initial: &str,
) -> Vec<String> {
    [
        format!("--name={name}"),
        format!("--listen-client-urls={scheme}://{client}"),
        format!("--advertise-client-urls={scheme}://{client}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster={initial}"),
        "--initial-cluster-state=new".to_owned(),
        "--heartbeat-interval=50".to_owned(),
        "--election-timeout=500".to_owned(),
        "--logger=zap".to_owned(),
        "--log-outputs=stderr".to_owned(),
        format!(
            "--experimental-watch-progress-notify-interval={}ms",
            PROGRESS_INTERVAL.as_millis()
        ),
    ]
    .to_vec()
}
