//! A home: three etcd members on one machine, and which of them leads.

use std::{path::Path, process::Command, time::Duration};

use anyhow::Context;
use meridian_etcd_api::etcdserverpb::{StatusRequest, StatusResponse};

use super::{
    free_ports,
    http::{counter, get},
    process::Server,
};
use crate::{
    connection::{Connection, Endpoint},
    process::ProcessId,
};

/// For three members to elect a leader on a busy machine.
const READY: Duration = Duration::from_secs(60);
/// Fewer beats and patient elections: three members and a load share two cores.
const TIMING: [&str; 2] = ["--heartbeat-interval=250", "--election-timeout=2500"];
/// Room for a million keys several times over.
const QUOTA: &str = "--quota-backend-bytes=8589934592";

/// One member.
#[derive(Debug)]
pub struct Member {
    server: Server,
    port: u16,
}

impl Member {
    /// Where its clients connect; its metrics are on the same port.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::loopback(self.port)
    }

    /// Client port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    pub fn id(&self) -> ProcessId {
        self.server.id()
    }
}

/// A running cluster with a leader.
#[derive(Debug)]
pub struct Cluster {
    members: [Member; 3],
    leader: usize,
}

impl Cluster {
    /// Starts three members in `folder` and waits for a leader.
    pub async fn start(etcd: &Path, folder: &Path) -> anyhow::Result<Self> {
        let [c0, c1, c2, p0, p1, p2] = free_ports()?;
        let ports = [(c0, p0), (c1, p1), (c2, p2)];
        let url = |port| format!("http://127.0.0.1:{port}");
        let initial: Vec<String> = (0..3)
            .map(|n| format!("m{n}={}", url(ports[n].1)))
            .collect();
        let start = |n: usize| -> anyhow::Result<Member> {
            let (client, peer) = (url(ports[n].0), url(ports[n].1));
            let mut command = Command::new(etcd);
            command
                .args(["--name", &format!("m{n}")])
                .arg("--data-dir")
                .arg(folder.join(format!("m{n}")))
                .args([
                    "--listen-client-urls",
                    &client,
                    "--advertise-client-urls",
                    &client,
                ])
                .args([
                    "--listen-peer-urls",
                    &peer,
                    "--initial-advertise-peer-urls",
                    &peer,
                ])
                .args([
                    "--initial-cluster",
                    &initial.join(","),
                    "--log-level",
                    "warn",
                ])
                .args(["--logger", "zap", QUOTA])
                .args(TIMING);
            let server = Server::start(&format!("etcd-m{n}"), folder, &mut command)?;
            Ok(Member {
                server,
                port: ports[n].0,
            })
        };
        let mut members = [start(0)?, start(1)?, start(2)?];
        let mut leader = None;
        for member in &mut members {
            let endpoint = member.endpoint();
            let led = async || {
                leader = leader_of(&endpoint).await;
                leader.is_some()
            };
            member
                .server
                .wait_until(READY, led)
                .await
                .context("start a 3-member etcd")?;
        }
        let leader = leader.context("a cluster without a leader")?;
        let mut index = 0;
        for (n, member) in members.iter().enumerate() {
            if id_of(&member.endpoint()).await == Some(leader) {
                index = n;
            }
        }
        Ok(Self {
            members,
            leader: index,
        })
    }

    /// The member that led when the cluster had started.
    pub fn leader(&self) -> &Member {
        &self.members[self.leader]
    }

    /// A member that did not.
    pub fn follower(&self) -> &Member {
        &self.members[(self.leader + 1) % 3]
    }

    /// Why the first member that runs no more ended; none while all run.
    pub fn ended(&mut self) -> Option<String> {
        self.members
            .iter_mut()
            .find_map(|member| member.server.ended())
    }

    /// All members.
    pub fn members(&self) -> &[Member; 3] {
        &self.members
    }

    /// CPU of all members.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        self.members.iter().map(|member| member.id().cpu()).sum()
    }

    /// KV.Range calls all members have answered, by etcd's own count.
    pub async fn range_calls(&self) -> anyhow::Result<f64> {
        let mut calls = 0.0;
        for member in &self.members {
            let (_, page) = get(member.port, "/metrics").await?;
            let labels = ["grpc_method=\"Range\"", "grpc_service=\"etcdserverpb.KV\""];
            calls += counter(&page, "grpc_server_handled_total", &labels);
        }
        Ok(calls)
    }
}

async fn status(endpoint: &Endpoint) -> Option<StatusResponse> {
    let connection = Connection::open(endpoint).await.ok()?;
    connection
        .ask("etcdserverpb.Maintenance/Status", &StatusRequest {})
        .await
        .ok()
}

async fn leader_of(endpoint: &Endpoint) -> Option<u64> {
    status(endpoint)
        .await
        .map(|status| status.leader)
        .filter(|leader| *leader != 0)
}

async fn id_of(endpoint: &Endpoint) -> Option<u64> {
    Some(status(endpoint).await?.header?.member_id)
}
