//! What stands before a home: grpc-proxy, a gateway; and the echo that stands for nothing at all.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use anyhow::Context;
use meridian_etcd_api::etcdserverpb::{RangeRequest, RangeResponse};

use super::{Binaries, free_ports, http::get, process::Server};
use crate::{
    connection::{Connection, Endpoint},
    echo::Style,
    process::ProcessId,
};

/// For a server without data of its own.
const READY: Duration = Duration::from_secs(30);

/// A server in front of something, ready.
#[derive(Debug)]
pub struct Front {
    server: Server,
    endpoint: Endpoint,
    admin: Option<u16>,
    started_in: Duration,
}

impl Front {
    /// Where clients connect.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its process.
    pub fn id(&self) -> ProcessId {
        self.server.id()
    }

    /// From its start until it was ready.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Why it runs no more; none while it runs.
    pub fn ended(&mut self) -> Option<String> {
        self.server.ended()
    }

    /// Its admin port, if it has one.
    pub fn admin(&self) -> Option<u16> {
        self.admin
    }
}

/// `etcd grpc-proxy start` before one member.
pub async fn proxy(bin: &Binaries, home: SocketAddr, folder: &Path) -> anyhow::Result<Front> {
    let [port] = free_ports()?;
    let mut command = Command::new(&bin.etcd);
    command
        .args(["grpc-proxy", "start", "--endpoints", &home.to_string()])
        .args(["--listen-addr", &format!("127.0.0.1:{port}")])
        // It dials this address itself and ends after seconds if nobody is there.
        .args([
            "--advertise-client-url",
            &format!("127.0.0.1:{port}"),
            "--data-dir",
        ])
        .arg(folder.join("proxy"))
        .args(["--max-send-bytes", "67108864"]);
    let mut server = Server::start("grpc-proxy", folder, &mut command)?;
    let endpoint = Endpoint::loopback(port);
    let started_in = server
        .wait_until(READY, async || answers(&endpoint).await)
        .await?;
    Ok(Front {
        server,
        endpoint,
        admin: None,
        started_in,
    })
}

/// `meridian run` before one member; ready when `/readyz` says so, for which its replica must be complete.
pub async fn gateway(
    bin: &Binaries,
    home: SocketAddr,
    folder: &Path,
    deadline: Duration,
) -> anyhow::Result<Front> {
    let [port, admin] = free_ports()?;
    let config = folder.join(format!("gateway-{port}.toml"));
    fs::write(&config, config_text(home, port, admin)).context("write the gateway's config")?;
    let mut command = Command::new(&bin.meridian);
    command.args(["run", "--config"]).arg(&config);
    let mut server = Server::start(&format!("gateway-{port}"), folder, &mut command)
        .context("is it built? `cargo build --release -p meridian-cli`, or give --meridian-bin")?;
    let ready = async || matches!(get(admin, "/readyz").await, Ok((200, _)));
    let started_in = server.wait_until(deadline, ready).await?;
    let endpoint = Endpoint::loopback(port);
    Ok(Front {
        server,
        endpoint,
        admin: Some(admin),
        started_in,
    })
}

fn config_text(home: SocketAddr, port: u16, admin: u16) -> String {
    format!(
        "[node]\nname = \"bench\"\nregion = \"bench\"\n\n\
         [home]\nendpoints = [\"http://{home}\"]\n\n\
         [gateway.etcd]\nlisten = \"127.0.0.1:{port}\"\n\n\
         [admin]\nlisten = \"127.0.0.1:{admin}\"\n\n\
         [log]\nlevel = \"info\"\n"
    )
}

/// This binary's own echo with answers of one size.
pub async fn echo(
    bin: &Binaries,
    answer_bytes: usize,
    style: Style,
    folder: &Path,
) -> anyhow::Result<Front> {
    let [port] = free_ports()?;
    let style = match style {
        Style::Spawned => "spawned",
        Style::Inline => "inline",
    };
    let mut command = Command::new(&bin.bench);
    command
        .args(["echo", "--port", &port.to_string(), "--style", style])
        .args(["--answer-bytes", &answer_bytes.to_string()]);
    let mut server = Server::start(&format!("echo-{port}"), folder, &mut command)?;
    let endpoint = Endpoint::loopback(port);
    let connects = async || Connection::open(&endpoint).await.is_ok();
    let started_in = server.wait_until(READY, connects).await?;
    Ok(Front {
        server,
        endpoint,
        admin: None,
        started_in,
    })
}

async fn answers(endpoint: &Endpoint) -> bool {
    let Ok(connection) = Connection::open(endpoint).await else {
        return false;
    };
    let request = RangeRequest {
        key: "/".into(),
        ..RangeRequest::default()
    };
    connection
        .ask::<RangeResponse>("etcdserverpb.KV/Range", &request)
        .await
        .is_ok()
}
