//! The way to the home and to the log: straight, as a hub, or through hubs.
//!
//! Owns the three ways and what each gives the engine. Invariant: whichever it is, the engine gets
//! one home and one feed, and links get the engine's replica to serve joiners from.

use std::sync::Arc;

use anyhow::{Context, Result};
use meridian_conf::{Conf, Congestion as CongestionConf, FilePair, Home as HomeConf, Link, Roles};
use meridian_delegate::{
    Congestion, Hub, HubConfig, LinkConfig, LinkStatus, Node, NodeConfig, NodeDocument, NodeName,
    ReplicaSource,
};
use meridian_engine::{Engine, HomeFeed};
use meridian_home::{
    Home,
    remote::{RemoteConfig, RemoteHome},
};
use meridian_keyspace::SharedKeyspace;
use meridian_revlog::Feed;
use meridian_runtime::TaskGroup;

use super::{bytes_bound, remote_config};

/// How a node comes to the home and to the log.
#[derive(Clone)]
pub(crate) enum Way {
    /// Straight to the home.
    Straight(Arc<dyn Home>),
    /// Straight to the home, and others come through this node.
    Hub(Arc<Hub>, Arc<dyn Home>),
    /// Through hubs.
    Linked(Arc<Node>),
}

impl Way {
    /// Opens the way that `conf` says.
    pub(super) fn open(conf: &Conf, tasks: &TaskGroup) -> Result<Self> {
        let me = NodeName {
            region: conf.node.region.clone(),
            name: conf.node.name.clone(),
        };
        match &conf.roles {
            Roles::Gateway { home, gateway: _ } => Ok(Self::Straight(remote(home, tasks)?)),
            Roles::Hub {
                home,
                hub,
                link,
                gateway: _,
            } => {
                let home = remote(home, tasks)?;
                let config = HubConfig {
                    me,
                    listen: hub.listen,
                    link: link_config(link),
                    window_bytes: bytes_bound(link.window.bytes),
                };
                Self::hub(config, home, tasks).context("open [hub]")
            }
            Roles::Region {
                link,
                uplink,
                gateway: _,
            } => {
                let config = NodeConfig {
                    me,
                    hubs: uplink.hubs.iter().map(ToString::to_string).collect(),
                    listen: uplink.listen,
                    advertise: uplink.advertise.as_ref().map(ToString::to_string),
                    link: link_config(link),
                    window_bytes: bytes_bound(link.window.bytes),
                };
                Self::linked(config, tasks).context("open [link]")
            }
        }
    }

    /// Becomes a hub beside `home`.
    pub(crate) fn hub(config: HubConfig, home: Arc<dyn Home>, tasks: &TaskGroup) -> Result<Self> {
        let hub = Hub::start(config, Arc::clone(&home), tasks)?;
        tracing::info!(listen = %hub.local_addr(), "the hub serves all regions");
        Ok(Self::Hub(Arc::new(hub), home))
    }

    /// Goes through hubs.
    pub(crate) fn linked(config: NodeConfig, tasks: &TaskGroup) -> Result<Self> {
        let hubs = config.hubs.clone();
        let node = Node::start(config, tasks)?;
        tracing::info!(?hubs, listen = %node.local_addr(), "looking for a hub");
        Ok(Self::Linked(Arc::new(node)))
    }

    /// The home, for calls.
    pub(crate) fn home(&self) -> Arc<dyn Home> {
        match self {
            Self::Straight(home) | Self::Hub(_, home) => Arc::clone(home),
            Self::Linked(node) => node.home(),
        }
    }

    /// The log.
    pub(crate) fn feed(&self) -> Arc<dyn Feed> {
        match self {
            Self::Straight(home) => Arc::new(HomeFeed(Arc::clone(home))),
            Self::Hub(hub, _) => hub.feed(),
            Self::Linked(node) => node.feed(),
        }
    }

    /// Tells the links of the engine whose replica joiners are served from.
    pub(crate) fn serve_from(&self, engine: &Arc<Engine>, tasks: &TaskGroup) {
        let replica = Arc::new(EngineReplica(Arc::clone(engine)));
        match self {
            Self::Straight(_) => return,
            Self::Hub(hub, _) => hub.set_replica(replica),
            Self::Linked(node) => node.set_replica(replica),
        }
        let (way, mut replaced, stop) = (self.clone(), engine.home_replaced(), tasks.token());
        tasks.spawn("home-replaced", async move {
            loop {
                tokio::select! {
                    changed = replaced.changed() => if changed.is_err() {
                        return;
                    },
                    () = stop.cancelled() => return,
                }
                match &way {
                    Self::Straight(_) => {}
                    Self::Hub(hub, _) => hub.home_replaced(),
                    Self::Linked(node) => node.home_replaced(),
                }
            }
        });
    }

    /// Says what this process answers to peers that ask for its status.
    pub(crate) fn set_status(&self, status: Arc<dyn Fn() -> String + Send + Sync>) {
        match self {
            Self::Straight(_) => {}
            Self::Hub(hub, _) => hub.set_status(status),
            Self::Linked(node) => node.set_status(status),
        }
    }

    /// How its links stand, if it has any.
    pub(crate) fn status(&self) -> Option<LinkStatus> {
        match self {
            Self::Straight(_) => None,
            Self::Hub(hub, _) => Some(hub.status()),
            Self::Linked(node) => Some(node.status()),
        }
    }

    /// Every node's status, through the hub; none if this node has no links.
    pub(crate) async fn status_all(&self) -> Result<Option<Vec<NodeDocument>>, String> {
        match self {
            Self::Straight(_) => Ok(None),
            Self::Hub(hub, _) => Ok(Some(hub.status_all().await)),
            Self::Linked(node) => node.status_all().await.map(Some),
        }
    }
}

/// The engine's replica, as links take it.
struct EngineReplica(Arc<Engine>);

impl ReplicaSource for EngineReplica {
    fn replica(&self) -> Option<Arc<SharedKeyspace>> {
        self.0.replica()
    }
}

fn remote(home: &HomeConf, tasks: &TaskGroup) -> Result<Arc<dyn Home>> {
    let config: RemoteConfig = remote_config(home);
    Ok(RemoteHome::connect(config, tasks).context("use [home]")?)
}

fn link_config(link: &Link) -> LinkConfig {
    let Link {
        ca,
        identity: FilePair { cert, key },
        congestion,
        window: _,
    } = link;
    LinkConfig {
        ca: ca.clone(),
        cert: cert.clone(),
        key: key.clone(),
        window_bytes: meridian_delegate::link::WINDOW_BYTES,
        congestion: match congestion {
            CongestionConf::Cubic => Congestion::Cubic,
            CongestionConf::Bbr => Congestion::Bbr,
            CongestionConf::NewReno => Congestion::NewReno,
        },
    }
}
