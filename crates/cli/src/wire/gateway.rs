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
use meridian_door_etcd::{DoorConfig, DoorHandle, DoorReader, DoorStatus};
use meridian_engine::{Engine, EngineConfig, HomeFeed};
use meridian_home::Home;
use meridian_runtime::{
    TaskGroup,
    admin::{Readiness, Routes},
    telemetry::Metrics,
    tls::ReloadableServer,
};
use tokio::net::TcpListener;

use super::{
    ROOM_STOP,
    report::{NodeStatus, all_ended},
};

/// What a gateway is made from.
pub(crate) struct GatewayPlan {
    pub(crate) engine: EngineConfig,
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<Arc<ReloadableServer>>,
    /// The client URLs it tells.
    pub(crate) advertise: Vec<String>,
    /// Up to which staleness it is ready.
    pub(crate) ready_staleness: Duration,
}

/// A running gateway.
pub(crate) struct Gateway {
    view: GatewayView,
    door: DoorHandle,
    core: TaskGroup,
}

/// Looks at a gateway; outlives its stop.
#[derive(Clone)]
pub(crate) struct GatewayView {
    engine: Arc<Engine>,
    door: DoorReader,
    listen: SocketAddr,
    ready_staleness: Duration,
    started: Instant,
    stopping: Arc<AtomicBool>,
}

impl Gateway {
    /// Starts engine and door before `home`.
    pub(crate) fn start(plan: GatewayPlan, home: Arc<dyn Home>, tasks: &TaskGroup) -> Result<Self> {
        let GatewayPlan {
            engine,
            listener,
            tls,
            advertise,
            ready_staleness,
        } = plan;
        let listen = listener.local_addr().context("look at the open port")?;
        let core = tasks.child("gateway");
        let feed = Arc::new(HomeFeed(Arc::clone(&home)));
        let engine = Engine::start(engine, home, feed, &core);
        let config = DoorConfig {
            listener,
            tls,
            advertise,
        };
        let door = meridian_door_etcd::serve(config, Arc::clone(&engine), tasks);
        let view = GatewayView {
            engine,
            door: door.reader(),
            listen,
            ready_staleness,
            started: Instant::now(),
            stopping: Arc::default(),
        };
        Ok(Self { view, door, core })
    }

    pub(crate) fn view(&self) -> &GatewayView {
        &self.view
    }

    /// Turns unready, drains the door for `drain` at most, stops the engine; whether everything has
    /// ended.
    pub(crate) async fn stop(self, drain: Duration) -> bool {
        let Self { view, door, core } = self;
        view.stopping.store(true, Ordering::Relaxed);
        let door = all_ended("door", &door.drain(drain).await);
        let engine = all_ended("engine", &core.stop(ROOM_STOP).await);
        door && engine
    }
}

impl GatewayView {
    /// Where its door listens.
    pub(crate) fn listen(&self) -> SocketAddr {
        self.listen
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn door(&self) -> DoorStatus {
        self.door.status()
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
        Routes {
            ready: Box::new(move || match ready.not_ready() {
                None => Readiness::Ready("ready".to_owned()),
                Some(why) => Readiness::NotReady(why),
            }),
            metrics: Box::new(move || metrics.render()),
            status: Box::new(move || status.status().to_json()),
        }
    }

    fn status(&self) -> NodeStatus {
        let not_ready = self.not_ready();
        NodeStatus {
            version: env!("CARGO_PKG_VERSION"),
            role: "gateway",
            uptime_seconds: self.started.elapsed().as_secs(),
            ready: not_ready.is_none(),
            not_ready,
            listen: self.listen,
            engine: self.engine.status(),
            connections: self.door.status().connections,
            door: self.door.status(),
        }
    }
}
