//! The ends of a link: a hub and nodes as `meridian run` processes, and nodes inside the benchmark.
//!
//! Nodes inside are [`meridian_delegate::Node`] itself with its feed, without a replica and without a door: fifty
//! processes do not fit two cores. Whatever is started here ends with its value.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use meridian_delegate::{LinkConfig, LinkStatus, Node, NodeConfig, NodeName, link::WINDOW_BYTES};
use meridian_revlog::Feed;
use meridian_runtime::TaskGroup;
use meridian_tests::{
    pki::{Authority, Identity, NodeCertificate},
    ports,
};

use super::Controller;
use crate::{
    connection::Endpoint,
    fleet::{http::get, process::Server},
    process::ProcessId,
};

/// For a process to be ready, a replica of the small data set behind a long round trip included.
const READY: Duration = Duration::from_secs(60);
/// For all nodes to take the log from their delegate.
const SETTLED: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Coded log kept by a node inside: half a minute of what is written here.
const WINDOW_KEPT: usize = 16 << 20;

/// Who issues certificates, and where files go.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) meridian: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) authority: Authority,
    controller: Controller,
}

impl Ground {
    pub(super) fn new(
        meridian: &Path,
        folder: &Path,
        controller: Controller,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            meridian: meridian.to_owned(),
            folder: folder.to_owned(),
            authority: Authority::new(folder, "ca")?,
            controller,
        })
    }

    /// Files and transport of a node.
    pub(super) fn link(&self, name: &NodeName, is_hub: bool) -> anyhow::Result<LinkConfig> {
        let Identity { cert, key } = self.authority.issue_node(&NodeCertificate {
            is_hub,
            ..NodeCertificate::of(&name.region, &name.name)
        })?;
        Ok(LinkConfig {
            ca: self.authority.file(),
            cert,
            key,
            window_bytes: WINDOW_BYTES,
            congestion: self.controller.congestion(),
        })
    }

    /// A hub beside `home`, ready.
    pub(super) async fn hub(&self, name: &str, home: SocketAddr) -> anyhow::Result<Process> {
        let me = node_name("us", name);
        let [listen, admin] = ports::free::<2>()?;
        let rest =
            format!("[home]\nendpoints = [\"http://{home}\"]\n\n[hub]\nlisten = \"{listen}\"\n\n");
        self.run(&me, true, &rest, "", [listen, listen, admin])
            .await
    }

    /// A node of `region` that reaches its hub at `hub`, ready.
    pub(super) async fn node(
        &self,
        region: &str,
        name: &str,
        hub: SocketAddr,
    ) -> anyhow::Result<Process> {
        let me = node_name(region, name);
        let [listen, client, admin] = ports::free::<3>()?;
        let rest = format!("[gateway.etcd]\nlisten = \"{client}\"\n\n");
        let link = format!("hubs = [\"{hub}\"]\nlisten = \"{listen}\"\n");
        self.run(&me, false, &rest, &link, [listen, client, admin])
            .await
    }

    async fn run(
        &self,
        me: &NodeName,
        is_hub: bool,
        rest: &str,
        link: &str,
        [listen, client, admin]: [SocketAddr; 3],
    ) -> anyhow::Result<Process> {
        let LinkConfig { ca, cert, key, .. } = self.link(me, is_hub)?;
        let NodeName { region, name } = me;
        let text = format!(
            "[node]\nname = \"{name}\"\nregion = \"{region}\"\n\n{rest}\
             [link]\ncongestion = \"{}\"\n{link}ca = {ca:?}\ncert = {cert:?}\nkey = {key:?}\n\n\
             [admin]\nlisten = \"{admin}\"\n\n[log]\nlevel = \"info\"\n",
            self.controller.text(),
        );
        let stem = format!("{region}-{name}");
        let file = self.folder.join(format!("{stem}.toml"));
        fs::write(&file, text).context("write a configuration")?;
        let mut command = Command::new(&self.meridian);
        command.args(["run", "--config"]).arg(&file);
        let mut server = Server::start(&stem, &self.folder, &mut command)?;
        let ready = async || matches!(get(admin.port(), "/readyz").await, Ok((200, _)));
        server.wait_until(READY, ready).await?;
        Ok(Process {
            server,
            listen,
            client,
            admin,
        })
    }

    /// Nodes inside, all behind `hub`.
    pub(super) fn nodes_inside(
        &self,
        region: &str,
        count: usize,
        hub: SocketAddr,
    ) -> anyhow::Result<Inside> {
        let tasks = TaskGroup::root(format!("nodes of {region}"));
        let start = |n: usize| -> anyhow::Result<Node> {
            let me = node_name(region, &format!("inside-{n}"));
            let config = NodeConfig {
                link: self.link(&me, false)?,
                me,
                hubs: vec![hub.to_string()],
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                advertise: None,
                window_bytes: WINDOW_KEPT,
            };
            Ok(Node::start(config, &tasks)?)
        };
        let nodes = (0..count).map(start).collect::<anyhow::Result<_>>()?;
        Ok(Inside { nodes, tasks })
    }
}

pub(super) fn node_name(region: &str, name: &str) -> NodeName {
    NodeName {
        region: region.to_owned(),
        name: name.to_owned(),
    }
}

/// A running `meridian run`.
#[derive(Debug)]
pub(super) struct Process {
    server: Server,
    /// UDP: where it serves its links.
    pub(super) listen: SocketAddr,
    client: SocketAddr,
    admin: SocketAddr,
}

impl Process {
    pub(super) fn id(&self) -> ProcessId {
        self.server.id()
    }

    /// Where clients connect, of a node.
    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::loopback(self.client.port())
    }

    /// The part `link` of its status.
    pub(super) async fn link(&self) -> anyhow::Result<serde_json::Value> {
        let (_, page) = get(self.admin.port(), "/status.json").await?;
        let status: serde_json::Value = serde_json::from_str(&page)?;
        Ok(status["link"].clone())
    }

    /// Whence it takes the log.
    pub(super) async fn source(&self) -> anyhow::Result<String> {
        let link = self.link().await?;
        let source = link["source"]
            .as_str()
            .context("a status without a source")?;
        Ok(source.to_owned())
    }
}

/// Nodes in this process.
pub(super) struct Inside {
    nodes: Vec<Node>,
    tasks: TaskGroup,
}

impl Inside {
    /// The feed of each.
    pub(super) fn feeds(&self) -> impl Iterator<Item = Arc<dyn Feed>> {
        self.nodes.iter().map(Node::feed)
    }

    /// How each stands.
    pub(super) fn statuses(&self) -> impl Iterator<Item = LinkStatus> {
        self.nodes.iter().map(Node::status)
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Closes all links.
        self.tasks.token().cancel();
    }
}

/// Waits until the first process is the delegate and all others take the log from it.
pub(super) async fn settle(processes: &[Process], inside: Option<&Inside>) -> anyhow::Result<()> {
    let start = Instant::now();
    loop {
        let mut elsewhere = Vec::new();
        for (n, process) in processes.iter().enumerate() {
            let (source, wanted) = (process.source().await?, ["hub", "delegate"][n.min(1)]);
            if source != wanted {
                elsewhere.push(format!("process {n} at {source}"));
            }
        }
        for (n, status) in inside
            .iter()
            .flat_map(|inside| inside.statuses())
            .enumerate()
        {
            if status.source != "delegate" {
                elsewhere.push(format!("node {n} at {}", status.source));
            }
        }
        if elsewhere.is_empty() {
            return Ok(());
        }
        ensure!(!processes.is_empty(), "a region without a delegate");
        if start.elapsed() > SETTLED {
            bail!("the region does not settle: {elsewhere:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
