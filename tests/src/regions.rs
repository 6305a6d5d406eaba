//! A whole world: an etcd cluster, hubs beside it, and regions of nodes behind an emulated WAN.
//!
//! Owns all of its processes and ways; they go when it goes. What is done to it goes through here, so that
//! a test speaks of "the delegate of eu" and of "the way of ap", not of ports.

mod follower;
mod load;
mod plan;
mod replicas;

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{
    client::Client,
    cluster::{Cluster, ClusterPlan},
    link::{Hub, HubPlan, Node, NodePlan},
    pki::Authority,
    wait::{SOON, eventually},
    wan::Load,
};

pub use follower::{Follower, Sighting, compare, truth};
pub use load::{Load as Writers, PREFIX};
pub use plan::RegionsPlan;
pub use replicas::compare_replicas;

/// The world.
#[derive(Debug)]
pub struct Regions {
    /// Nodes of all regions.
    pub nodes: Vec<Node>,
    /// Hubs, in the order in which nodes prefer them.
    pub hubs: Vec<Hub>,
    /// The home.
    pub cluster: Cluster,
    /// Who issues certificates.
    pub authority: Authority,
    plan: RegionsPlan,
    dir: TempDir,
}

impl Regions {
    /// Starts all of `plan` and waits until every node is ready.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn start(plan: &RegionsPlan) -> Result<Self> {
        let mut regions = Self::found(plan).await?;
        for (region, nodes) in &plan.regions {
            for _ in 0..*nodes {
                regions.add(region)?;
            }
        }
        regions.ready().await?;
        Ok(regions)
    }

    /// Starts the home and its hubs, and no region yet.
    ///
    /// # Errors
    /// When something does not come up.
    pub async fn found(plan: &RegionsPlan) -> Result<Self> {
        let mut dir = tempfile::Builder::new()
            .prefix("meridian-regions-")
            .tempdir()
            .context("make a folder")?;
        // Who looks for a fault wants the logs.
        dir.disable_cleanup(std::env::var_os("MERIDIAN_KEEP_LOGS").is_some());
        let authority = Authority::new(dir.path(), "link-ca")?;
        let cluster = Cluster::start(&ClusterPlan {
            flags: plan.flags.clone(),
            ..ClusterPlan::new(plan.release, plan.members)
        })
        .await?;
        let mut hubs = Vec::new();
        for n in 0..plan.hubs {
            let hub = HubPlan {
                name: format!("hub-{n}"),
                window_bytes: plan.window_bytes,
                ..HubPlan::before(cluster.endpoints())
            };
            hubs.push(Hub::start(&hub, &authority, dir.path()).await?);
        }
        Ok(Self {
            nodes: Vec::new(),
            hubs,
            cluster,
            authority,
            plan: plan.clone(),
            dir,
        })
    }

    /// A place for files that live as long as this.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The plan of the next node of `region`.
    #[must_use]
    pub fn plan_of(&self, region: &str) -> NodePlan {
        let taken = self.nodes.len();
        NodePlan {
            between: self.plan.between,
            window_bytes: self.plan.window_bytes,
            etcd: self.plan.etcd.clone(),
            // Chances differ from node to node and are the same in every run of a seed.
            seed: self.plan.seed.wrapping_add(taken as u64 * 1_000),
            ..NodePlan::of(region, &format!("gw-{taken}"))
        }
    }

    /// Starts one more node of `region`, and does not wait for it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn add(&mut self, region: &str) -> Result<usize> {
        self.add_as(&self.plan_of(region))
    }

    /// The same with a plan of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn add_as(&mut self, plan: &NodePlan) -> Result<usize> {
        let hubs: Vec<SocketAddr> = self.hubs.iter().map(|hub| hub.listen).collect();
        let node = Node::launch(plan, &hubs, &self.authority, self.dir.path())?;
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Waits until all nodes are ready.
    ///
    /// # Errors
    /// When one is not.
    pub async fn ready(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            node.machine.ready().await?;
        }
        Ok(())
    }

    /// A client of the home itself.
    ///
    /// # Errors
    /// Never in practice.
    pub fn home(&self) -> Result<Client> {
        self.cluster.connect(0)
    }

    /// The nodes of `region`.
    #[must_use]
    pub fn of(&self, region: &str) -> Vec<usize> {
        let mine = |n: &usize| self.nodes[*n].region == region;
        (0..self.nodes.len()).filter(mine).collect()
    }

    /// The node that most of its region's nodes that can tell name as their delegate, and which is one.
    ///
    /// # Errors
    /// When there is none for long.
    pub async fn delegate(&self, region: &str) -> Result<usize> {
        eventually(SOON, &format!("{region} has a delegate"), || async {
            let named = self.named(region).await?;
            let votes = |node: &usize| named.iter().filter(|named| *named == node).count();
            let delegate = named.iter().copied().max_by_key(votes);
            let delegate = delegate.context("no node tells")?;
            let link = self.nodes[delegate].machine.link().await?;
            ensure!(link.source()? == "hub", "it does not read the hub: {link}");
            anyhow::Ok(delegate)
        })
        .await
    }

    /// Whom each node of `region` that can tell names.
    async fn named(&self, region: &str) -> Result<Vec<usize>> {
        let mut named = Vec::new();
        for n in self.of(region) {
            if let Ok(link) = self.nodes[n].machine.link().await {
                let name = link.delegate()?;
                let found = self.nodes.iter().position(|node| node.machine.name == name);
                named.push(found.with_context(|| format!("{name} is no node"))?);
            }
        }
        Ok(named)
    }

    /// Waits until a region takes no more copies over the WAN than it may: one from each hub that its nodes
    /// are linked to, as long as these have not come together again.
    ///
    /// # Errors
    /// When it goes on to take more.
    pub async fn takes_few_copies(&self, region: &str) -> Result<()> {
        eventually(SOON, &format!("{region} takes few copies"), || async {
            let (mut copies, mut hubs) = (0, BTreeSet::new());
            for n in self.of(region) {
                let link = self.nodes[n].machine.link().await?;
                hubs.insert(link.hub()?.to_owned());
                copies += usize::from(link.source()? == "hub");
            }
            ensure!(copies <= hubs.len(), "{copies} copies from {hubs:?}");
            anyhow::Ok(())
        })
        .await
    }

    /// A node of `region` that is not its delegate.
    ///
    /// # Errors
    /// When there is none.
    pub async fn member(&self, region: &str) -> Result<usize> {
        let delegate = self.delegate(region).await?;
        let mut others = self.of(region).into_iter().filter(|n| *n != delegate);
        others.next().context("the region has one node only")
    }

    /// Waits until every node of `region` takes the log from its delegate, and that from a hub.
    ///
    /// # Errors
    /// When it does not come to that.
    pub async fn settled(&self, region: &str) -> Result<usize> {
        eventually(SOON, &format!("{region} is settled"), || async {
            let named = self.named(region).await?;
            let delegate = *named.first().context("no node tells")?;
            ensure!(named.len() == self.of(region).len(), "not all tell");
            ensure!(named.iter().all(|n| *n == delegate), "named: {named:?}");
            let link = self.nodes[delegate].machine.link().await?;
            ensure!(link.source()? == "hub", "it does not read the hub: {link}");
            for n in self.of(region).into_iter().filter(|n| *n != delegate) {
                let link = self.nodes[n].machine.link().await?;
                // All name the same one, and each reads whom it names or the hub.
                ensure!(
                    link.source()?.starts_with("delegate"),
                    "{}: {link}",
                    self.nodes[n].machine.name
                );
            }
            anyhow::Ok(delegate)
        })
        .await
    }

    /// Waits until the replica of node `n` holds `revision`.
    ///
    /// # Errors
    /// When it does not by the deadline.
    pub async fn reaches(&self, n: usize, revision: i64, deadline: Duration) -> Result<()> {
        let node = &self.nodes[n].machine;
        let what = format!("{} holds revision {revision}", node.name);
        eventually(deadline, &what, || async {
            let status = node.status().await?;
            let at = status["revision"].as_i64().context("its revision")?;
            ensure!(at >= revision, "it is at {at}");
            Ok(())
        })
        .await
    }

    /// Parts nodes `one` and `other`: neither hears the other as its delegate.
    pub fn part(&self, one: usize, other: usize) {
        let (one, other) = (&self.nodes[one], &self.nodes[other]);
        for address in other.machine.udp_addresses() {
            one.lan.sever(address);
        }
        for address in one.machine.udp_addresses() {
            other.lan.sever(address);
        }
    }

    /// Lets them hear each other again.
    pub fn rejoin(&self, one: usize, other: usize) {
        let (one, other) = (&self.nodes[one], &self.nodes[other]);
        // A process that was started anew meanwhile has other ports, which nobody has severed.
        for address in other.machine.udp_addresses() {
            one.lan.rejoin(address);
        }
        for address in one.machine.udp_addresses() {
            other.lan.rejoin(address);
        }
    }

    /// What the hubs have sent to `region` over the WAN so far, and it to them.
    #[must_use]
    pub fn wan_load(&self, region: &str) -> (Load, Load) {
        let each = self
            .of(region)
            .into_iter()
            .map(|n| self.nodes[n].wan_load());
        each.fold(<(Load, Load)>::default(), |(down, up), (d, u)| {
            (down + d, up + u)
        })
    }

    /// The last log lines of all that may have gone wrong.
    #[must_use]
    pub fn log_tails(&self) -> String {
        let hubs = self.hubs.iter().map(|hub| hub.machine.log_tail());
        let nodes = self.nodes.iter().map(|node| node.machine.log_tail());
        hubs.chain(nodes).collect::<Vec<_>>().join("\n")
    }
}
