//! What the conformance suite is run against.
//!
//! A target is an endpoint that must behave as etcd does, with everything that stands behind it. It
//! can make another of its own kind, for the cases that would spoil a shared one.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::{
    client::Client,
    cluster::{Cluster, ClusterPlan},
    gateway::{Dev, Gateway, GatewayPlan},
    regions::{Regions, RegionsPlan},
    release::Release,
    wan::Conditions,
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
    /// A member of a region, behind its delegate, a hub and a WAN, before etcd.
    Region(&'static Release),
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
            Self::Region(release) => format!("region-{}", release.version),
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
            .chain([Self::Region(Release::newest()?), Self::DevUs, Self::DevEu])
            .collect())
    }

    /// Whether the home is the embedded one.
    #[must_use]
    pub fn is_embedded(self) -> bool {
        match self {
            Self::Etcd(_) | Self::Gateway(_) | Self::Region(_) => false,
            Self::DevUs | Self::DevEu => true,
        }
    }

    /// Whether it needs the `meridian` binary.
    #[must_use]
    pub fn is_ours(self) -> bool {
        match self {
            Self::Etcd(_) => false,
            Self::Gateway(_) | Self::Region(_) | Self::DevUs | Self::DevEu => true,
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
    regions: Option<Mutex<Regions>>,
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
                    regions: None,
                    cluster: Some(Mutex::new(cluster)),
                })
            }
            Kind::Gateway(release) => {
                let cluster = start_cluster(release, wish).await?;
                let plan = GatewayPlan {
                    etcd: progress_interval(),
                    ..GatewayPlan::before(cluster.endpoints())
                };
                let gateway = Gateway::start(&plan).await?;
                let address = gateway.client;
                Ok(Self {
                    kind,
                    address,
                    gateway: Some(gateway),
                    dev: None,
                    regions: None,
                    cluster: Some(Mutex::new(cluster)),
                })
            }
            Kind::Region(release) => {
                let regions = Regions::start(&region_plan(release, wish)?).await?;
                regions.settled("eu").await?;
                let address = regions.nodes[regions.member("eu").await?].client;
                Ok(Self {
                    kind,
                    address,
                    gateway: None,
                    dev: None,
                    regions: Some(Mutex::new(regions)),
                    cluster: None,
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
                    regions: None,
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
    pub async fn cluster(&self) -> Result<MappedMutexGuard<'_, Cluster>> {
        match (&self.cluster, &self.regions) {
            (Some(cluster), _) => Ok(MutexGuard::map(cluster.lock().await, |cluster| cluster)),
            (None, Some(regions)) => {
                let regions = regions.lock().await;
                Ok(MutexGuard::map(regions, |regions| &mut regions.cluster))
            }
            (None, None) => bail!("no etcd cluster stands behind {}", self.kind.name()),
        }
    }

    /// The etcd behind it, where there is one.
    #[must_use]
    pub fn release(&self) -> Option<&'static Release> {
        match self.kind {
            Kind::Etcd(release) | Kind::Gateway(release) | Kind::Region(release) => Some(release),
            Kind::DevUs | Kind::DevEu => None,
        }
    }

    /// A client of the home itself, past the gateway; the target's own where there is no other way.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn connect_home(&self) -> Result<Client> {
        match &self.dev {
            Some(dev) => Client::connect(&format!("http://{}", dev.us)),
            None => self.cluster().await?.connect(0),
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
        if let Some(regions) = &self.regions {
            tails.push(regions.lock().await.log_tails());
        }
        if let Some(cluster) = &self.cluster {
            tails.push(cluster.lock().await.log_tails());
        }
        tails.join("\n")
    }
}

/// A region of a delegate and one member, as far away as `eu` of dev.
fn region_plan(release: &'static Release, wish: &Wish) -> Result<RegionsPlan> {
    Ok(RegionsPlan {
        release,
        members: wish.members,
        flags: wish.flags.clone(),
        etcd: progress_interval(),
        ..RegionsPlan::of(&[("eu", 2)])?.over(Conditions::half_of(DEV_ROUND_TRIP))
    })
}

fn progress_interval() -> String {
    format!(
        "progress_notify_interval = \"{}ms\"",
        PROGRESS_INTERVAL.as_millis()
    )
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
