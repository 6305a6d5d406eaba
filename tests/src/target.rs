//! What the conformance suite is run against.
//!
//! A target is an endpoint that must behave as etcd does, with everything that stands behind it. It
//! can make another of its own kind, for the cases that would spoil a shared one.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    client::Client,
    cluster::{Cluster, ClusterPlan},
    gateway::{Dev, Gateway, GatewayPlan},
    release::Release,
};

/// The short way of `eu` in tests: long enough to bring races out, short enough for hundreds of cases.
const DEV_ROUND_TRIP: Duration = Duration::from_millis(6);

/// How often etcd and gateways tell quiet watches how far they have come: below any patience here.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(400);

/// A kind of target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// etcd itself.
    Etcd(&'static Release),
    /// A gateway before etcd.
    Gateway(&'static Release),
    /// The gateway beside the embedded home.
    DevUs,
    /// The gateway far from the embedded home.
    DevEu,
}

impl Kind {
    /// The name that reports and the list of differences use.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Etcd(release) => format!("etcd-{}", release.version),
            Self::Gateway(release) => format!("gateway-{}", release.version),
            Self::DevUs => "dev-us".to_owned(),
            Self::DevEu => "dev-eu".to_owned(),
        }
    }

    /// Every kind that can be started here.
    ///
    /// # Errors
    /// When no etcd is installed.
    pub fn all() -> Result<Vec<Self>> {
        let installed = Release::installed()?;
        let etcds = installed.iter().map(Self::Etcd);
        let gateways = installed.iter().map(Self::Gateway);
        Ok(etcds
            .chain(gateways)
            .chain([Self::DevUs, Self::DevEu])
            .collect())
    }

    /// Whether the home is the embedded one.
    #[must_use]
    pub fn is_embedded(self) -> bool {
        match self {
            Self::Etcd(_) | Self::Gateway(_) => false,
            Self::DevUs | Self::DevEu => true,
        }
    }

    /// Whether it needs the `meridian` binary.
    #[must_use]
    pub fn is_ours(self) -> bool {
        match self {
            Self::Etcd(_) => false,
            Self::Gateway(_) | Self::DevUs | Self::DevEu => true,
        }
    }
}

/// How a target of one's own should be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Members of its etcd cluster.
    pub members: usize,
    /// Further flags of its etcd.
    pub flags: Vec<String>,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            members: 1,
            flags: Vec::new(),
        }
    }
}

/// A running target.
#[derive(Debug)]
pub struct Target {
    kind: Kind,
    address: SocketAddr,
    // Dropped in this order: the gateway before its home.
    gateway: Option<Gateway>,
    dev: Option<Dev>,
    cluster: Option<Mutex<Cluster>>,
}

impl Target {
    /// Starts a target.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(kind: Kind, wish: &Wish) -> Result<Self> {
        match kind {
            Kind::Etcd(release) => {
                let cluster = start_cluster(release, wish).await?;
                let address = cluster.address(0);
                Ok(Self {
                    kind,
                    address,
                    gateway: None,
                    dev: None,
                    cluster: Some(Mutex::new(cluster)),
                })
            }
            Kind::Gateway(release) => {
                let cluster = start_cluster(release, wish).await?;
                let plan = GatewayPlan {
                    etcd: format!(
                        "progress_notify_interval = \"{}ms\"",
                        PROGRESS_INTERVAL.as_millis()
                    ),
                    ..GatewayPlan::before(cluster.endpoints())
                };
                let gateway = Gateway::start(&plan).await?;
                let address = gateway.client;
                Ok(Self {
                    kind,
                    address,
                    gateway: Some(gateway),
                    dev: None,
                    cluster: Some(Mutex::new(cluster)),
                })
            }
            Kind::DevUs | Kind::DevEu => {
                let progress = format!(
                    "--progress-notify-interval={}ms",
                    PROGRESS_INTERVAL.as_millis()
                );
                let dev = Dev::start_with(DEV_ROUND_TRIP, &[progress]).await?;
                let address = if kind == Kind::DevUs { dev.us } else { dev.eu };
                Ok(Self {
                    kind,
                    address,
                    gateway: None,
                    dev: Some(dev),
                    cluster: None,
                })
            }
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client with a connection of its own.
    ///
    /// # Errors
    /// Never in practice.
    pub fn connect(&self) -> Result<Client> {
        Client::connect(&format!("http://{}", self.address))
    }

    /// The etcd cluster behind it; the embedded home has none.
    ///
    /// # Errors
    /// When there is none.
    pub async fn cluster(&self) -> Result<MutexGuard<'_, Cluster>> {
        match &self.cluster {
            Some(cluster) => Ok(cluster.lock().await),
            None => bail!("no etcd cluster stands behind {}", self.kind.name()),
        }
    }

    /// The etcd behind it, where there is one.
    #[must_use]
    pub fn release(&self) -> Option<&'static Release> {
        match self.kind {
            Kind::Etcd(release) | Kind::Gateway(release) => Some(release),
            Kind::DevUs | Kind::DevEu => None,
        }
    }

    /// A client of the home itself, past the gateway; the target's own where there is no other way.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn connect_home(&self) -> Result<Client> {
        match (&self.cluster, &self.dev) {
            (Some(cluster), _) => Client::connect(&cluster.lock().await.endpoint(0)),
            (None, Some(dev)) => Client::connect(&format!("http://{}", dev.us)),
            (None, None) => self.connect(),
        }
    }

    /// The last log lines of its processes.
    pub async fn log_tails(&mut self) -> String {
        let mut tails = Vec::new();
        if let Some(gateway) = &mut self.gateway {
            tails.push(gateway.process().log_tail());
        }
        if let Some(dev) = &mut self.dev {
            tails.push(dev.process().log_tail());
        }
        if let Some(cluster) = &self.cluster {
            tails.push(cluster.lock().await.log_tails());
        }
        tails.join("\n")
    }
}

async fn start_cluster(release: &'static Release, wish: &Wish) -> Result<Cluster> {
    let plan = ClusterPlan {
        release,
        members: wish.members,
        flags: wish.flags.clone(),
        tls: None,
    };
    Cluster::start(&plan).await
}
