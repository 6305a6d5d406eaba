//! One gateway: an engine and its door, started and stopped together.
//!
//! Invariant: the door closes before the engine stops, so every accepted call still has an engine
//! to answer it. It does not know what its home is.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use meridian_delegate::{LinkStatus, NodeDocument};
use meridian_door_etcd::{DoorConfig, DoorHandle, DoorReader, DoorStatus};
use meridian_engine::{Engine, EngineConfig};
use meridian_runtime::{
    TaskGroup,
    admin::{Readiness, Routes},
    telemetry::Metrics,
    tls::ReloadableServer,
};
use tokio::net::TcpListener;

use crate::status::all::{AllNodes, NodeAnswer};

use super::{
    ROOM_STOP, Way,
    report::{NodeStatus, all_ended},
};

/// What a gateway is made from.
pub(crate) struct GatewayPlan {
    pub(crate) engine: EngineConfig,
    /// None for a hub that has no door: its replica serves joiners alone.
    pub(crate) door: Option<DoorPlan>,
    /// Up to which staleness it is ready.
    pub(crate) ready_staleness: Duration,
}

/// What its door is made from.
pub(crate) struct DoorPlan {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<ReloadableServer>>,
    /// The client URLs it tells.
    pub(crate) advertise: Vec<String>,
}

/// A running gateway.
pub(crate) struct Gateway {
    view: GatewayView,
    door: Option<DoorHandle>,
    core: TaskGroup,
}

/// Looks at a gateway; outlives its stop.
#[derive(Clone)]
pub(crate) struct GatewayView {
    engine: Arc<Engine>,
    way: Way,
    door: Option<(DoorReader, SocketAddr)>,
    ready_staleness: Duration,
    started: Instant,
    stopping: Arc<AtomicBool>,
}

impl Gateway {
    /// Starts the engine, at the end of `way`, and the door before it.
    pub(crate) fn start(plan: GatewayPlan, way: Way, tasks: &TaskGroup) -> Result<Self> {
        let GatewayPlan {
            engine,
            door,
            ready_staleness,
        } = plan;
        let core = tasks.child("gateway");
        let engine = Engine::start(engine, way.home(), way.feed(), &core);
        way.serve_from(&engine, &core);
        let door = door
            .map(|plan| open_door(plan, &engine, tasks))
            .transpose()?;
        let view = GatewayView {
            engine,
            way,
            door: door.as_ref().map(|(door, listen)| (door.reader(), *listen)),
            ready_staleness,
            started: Instant::now(),
            stopping: Arc::default(),
        };
        // The way holds this for good, and the view holds the way: it is to hold no view itself.
        let (seen, way) = (view.clone(), view.way.clone());
        way.set_status(Arc::new(move || seen.status().to_json()));
        Ok(Self {
            view,
            door: door.map(|(door, _)| door),
            core,
        })
    }

    pub(crate) fn view(&self) -> &GatewayView {
        &self.view
    }

    /// Turns unready, drains the door for `drain` at most, stops the engine; whether everything has
    /// ended.
    pub(crate) async fn stop(self, drain: Duration) -> bool {
        let Self { view, door, core } = self;
        view.stopping.store(true, Ordering::Relaxed);
        let door = match door {
            Some(door) => all_ended("door", &door.drain(drain).await),
            None => true,
        };
        let engine = all_ended("engine", &core.stop(ROOM_STOP).await);
        door && engine
    }
}

impl GatewayView {
    /// Where its door listens, if it has one.
    pub(crate) fn listen(&self) -> Option<SocketAddr> {
        self.door.as_ref().map(|(_, listen)| *listen)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn door(&self) -> Option<DoorStatus> {
        self.door.as_ref().map(|(door, _)| door.status())
    }

    /// How its links stand, if it has any.
    pub(crate) fn link(&self) -> Option<LinkStatus> {
        let status = self.way.status()?;
        let lag_ms = self.engine.staleness().map(|age| age.as_millis() as u64);
        Some(LinkStatus { lag_ms, ..status })
    }

    /// Why it should get no traffic; none if it should.
    pub(crate) fn not_ready(&self) -> Option<String> {
        match self.stopping.load(Ordering::Relaxed) {
            true => Some("stopping".to_owned()),
            false => self.engine.not_ready(self.ready_staleness),
        }
    }

    /// What the admin port answers for it.
    pub(crate) fn routes(&self, metrics: Metrics) -> Routes {
        let (ready, status) = (self.clone(), self.clone());
        let (all, runtime) = (self.clone(), tokio::runtime::Handle::current());
        Routes {
            ready: Box::new(move || match ready.not_ready() {
                None => Readiness::Ready("ready".to_owned()),
                Some(why) => Readiness::NotReady(why),
            }),
            metrics: Box::new(move || metrics.render()),
            status: Box::new(move || status.status().to_json()),
            status_all: Box::new(move || {
                let all = all.clone();
                // The runtime of the links does the asking; the admin thread only waits.
                let gathering = runtime.spawn(async move { all.gather().await });
                Box::pin(async move { gathering.await.map_err(|error| error.to_string())? })
            }),
        }
    }

    /// Every node's status, as the hub gathers it; of a node that has no links, its own.
    async fn gather(&self) -> Result<String, String> {
        let nodes = match self.way.status_all().await? {
            Some(documents) => documents
                .into_iter()
                .map(|NodeDocument { node, answer }| {
                    NodeAnswer::new(node.region, node.name, answer)
                })
                .collect(),
            None => {
                let status = self.status();
                let (region, node) = (status.engine.region.clone(), status.engine.node.clone());
                vec![NodeAnswer::new(region, node, Ok(status.to_json()))]
            }
        };
        Ok(AllNodes { nodes }.to_json())
    }

    fn status(&self) -> NodeStatus {
        let not_ready = self.not_ready();
        let door = self.door();
        NodeStatus {
            version: env!("CARGO_PKG_VERSION"),
            role: match door {
                Some(_) => "gateway",
                None => "hub",
            },
            uptime_seconds: self.started.elapsed().as_secs(),
            ready: not_ready.is_none(),
            not_ready,
            listen: self.listen(),
            engine: self.engine.status(),
            connections: door.as_ref().map_or(0, |door| door.connections),
            door,
            link: self.link(),
        }
    }
}

fn open_door(
    plan: DoorPlan,
    engine: &Arc<Engine>,
    tasks: &TaskGroup,
) -> Result<(DoorHandle, SocketAddr)> {
    let DoorPlan {
        listener,
        tls,
        advertise,
    } = plan;
    let listen = listener.local_addr().context("look at the open port")?;
    let config = DoorConfig {
        listener,
        tls,
        advertise,
    };
    let door = meridian_door_etcd::serve(config, Arc::clone(engine), tasks);
    Ok((door, listen))
}
