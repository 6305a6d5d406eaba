//! A node of a region: a gateway whose way to the home leads through hubs, and which may be its region's
//! delegate.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result};

use super::{Machine, hub::window};
use crate::{
    client::Client,
    pki::{Authority, Identity, NodeCertificate},
    ports,
    wan::{Conditions, Gate, Load, UdpWan},
};

/// What to start.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// What its certificate says, and of which authority it is, if not the truth.
    pub identity: Option<Identity>,
    /// Bytes of its window, if not the default.
    pub window_bytes: Option<u64>,
    /// Lines added to `[gateway.etcd]`.
    pub etcd: String,
    /// Lines added to `[gateway.replica]`.
    pub replica: String,
    /// What its ways over the WAN are like, each direction.
    pub between: Conditions,
    /// Its own address, if it goes to the hubs straight from there, without an emulator.
    pub direct: Option<IpAddr>,
    /// Where the chances of its ways come from.
    pub seed: u64,
}

impl NodePlan {
    /// An ordinary one.
    #[must_use]
    pub fn of(region: &str, name: &str) -> Self {
        Self {
            region: region.to_owned(),
            name: name.to_owned(),
            identity: None,
            window_bytes: None,
            etcd: String::new(),
            replica: String::new(),
            between: Conditions::default(),
            direct: None,
            seed: 0,
        }
    }
}

/// A running node and its ways.
#[derive(Debug)]
pub struct Node {
    /// The process.
    pub machine: Machine,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Where clients connect to.
    pub client: SocketAddr,
    /// UDP: where it serves members, and whence it calls.
    pub listen: SocketAddr,
    /// Its way to each hub.
    pub wans: Vec<UdpWan>,
    /// The way of other members to it.
    pub lan: UdpWan,
    between: Conditions,
}

impl Node {
    /// Starts `plan` before these hubs; does not wait for it to be ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(
        plan: &NodePlan,
        hubs: &[SocketAddr],
        authority: &Authority,
        dir: &Path,
    ) -> Result<Self> {
        let plan = match &plan.identity {
            Some(_) => plan.clone(),
            None => NodePlan {
                identity: Some(
                    authority.issue_node(&NodeCertificate::of(&plan.region, &plan.name))?,
                ),
                ..plan.clone()
            },
        };
        Self::launch_trusting(&plan, hubs, &authority.file(), dir)
    }

    /// The same, with an authority that is but a file; the plan has a certificate.
    ///
    /// # Errors
    /// When it has none, or cannot be started.
    pub fn launch_trusting(
        plan: &NodePlan,
        hubs: &[SocketAddr],
        ca: &Path,
        dir: &Path,
    ) -> Result<Self> {
        let identity = plan.identity.as_ref().context("a certificate")?;
        let [client, admin, mut listen] = ports::free::<3>()?;
        listen.set_ip(plan.direct.unwrap_or(listen.ip()));
        let mut wans = Vec::new();
        let emulated: &[SocketAddr] = if plan.direct.is_some() { &[] } else { hubs };
        for (hub, seed) in emulated.iter().zip(plan.seed..) {
            let wan = UdpWan::start(*hub, seed)?;
            wan.set(plan.between);
            wans.push(wan);
        }
        let lan = UdpWan::start(listen, !plan.seed)?;
        let places = Places {
            client,
            admin,
            listen,
            lan: if plan.direct.is_some() {
                listen
            } else {
                lan.address()
            },
            hubs: match plan.direct {
                Some(_) => hubs.iter().map(SocketAddr::to_string).collect(),
                None => wans.iter().map(|wan| wan.address().to_string()).collect(),
            },
        };
        let config = plan.config(&places, ca, identity);
        let who = (plan.region.as_str(), plan.name.as_str());
        Ok(Self {
            machine: Machine::start(who, admin, &config, dir)?,
            region: plan.region.clone(),
            name: plan.name.clone(),
            client,
            listen,
            wans,
            lan,
            between: plan.between,
        })
    }

    /// A client of its own connection.
    ///
    /// # Errors
    /// Never in practice.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&self.endpoint())
    }

    /// Its URL for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.client)
    }

    /// Opens or shuts its ways to all hubs.
    pub fn gate_wan(&self, gate: Gate) {
        self.wans.iter().for_each(|wan| wan.gate(gate));
    }

    /// Changes its ways to all hubs, each direction.
    pub fn set_wan(&mut self, between: Conditions) {
        self.between = between;
        self.wans.iter().for_each(|wan| wan.set(between));
    }

    /// What its ways to the hubs were made to be like.
    #[must_use]
    pub fn between(&self) -> Conditions {
        self.between
    }

    /// What hubs have sent it over the WAN, and it them.
    #[must_use]
    pub fn wan_load(&self) -> (Load, Load) {
        let sum = |loads: Vec<Load>| loads.into_iter().fold(Load::default(), |a, b| a + b);
        (
            sum(self.wans.iter().map(|wan| wan.back().sent).collect()),
            sum(self.wans.iter().map(|wan| wan.there().sent).collect()),
        )
    }
}

struct Places {
    client: SocketAddr,
    admin: SocketAddr,
    listen: SocketAddr,
    lan: SocketAddr,
    hubs: Vec<String>,
}

impl NodePlan {
    fn config(&self, at: &Places, ca: &Path, own: &Identity) -> String {
        format!(
            "[node]\nname = \"{}\"\nregion = \"{}\"\n\n\
             [link]\nhubs = {:?}\nlisten = \"{}\"\nadvertise = \"{}\"\n\
             ca = {ca:?}\ncert = {:?}\nkey = {:?}\n{}\n\
             [gateway.etcd]\nlisten = \"{}\"\n{}\n\n[gateway.replica]\n{}\n\n\
             [admin]\nlisten = \"{}\"\n\n[log]\nformat = \"text\"\nlevel = \"info\"\n",
            self.name,
            self.region,
            at.hubs,
            at.listen,
            at.lan,
            own.cert,
            own.key,
            window(self.window_bytes),
            at.client,
            self.etcd,
            self.replica,
            at.admin,
        )
    }
}
