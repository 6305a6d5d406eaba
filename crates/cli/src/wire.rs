//! The composition root: the one place where rooms meet.
//!
//! Turns a configuration into running rooms and stops them in order: doors, engine, home, then
//! what is left, the admin port last. Invariant: everything that can be wrong with files and
//! addresses is found before the first room starts. It decides nothing that a room decides.

mod gateway;
mod report;
mod way;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use meridian_conf::{
    ClientTls, Conf, FilePair, Gateway as GatewayConf, Home, Link, Replica, Scheme,
};
use meridian_engine::EngineConfig;
use meridian_home::remote::{RemoteConfig, RemoteTls};
use meridian_keyspace::WindowLimits;
use meridian_runtime::{
    TaskGroup,
    accept::{self, BindError},
    admin::{self, AdminServer},
    telemetry::Metrics,
    tls::{self, Identity, ReloadableServer, TlsError},
};
use tokio::net::TcpListener;

pub(crate) use gateway::{DoorPlan, Gateway, GatewayPlan, GatewayView};
pub(crate) use report::all_ended;
pub(crate) use way::Way;

/// What engine and home get after the doors are drained: their tasks only look at their token.
pub(crate) const ROOM_STOP: Duration = Duration::from_secs(3);

/// A replica that serves nobody but joiners is ready within this staleness.
const READY_STALENESS: Duration = Duration::from_secs(10);

/// The ports of a node, open.
pub(crate) struct Ports {
    /// None for a hub that has no door.
    etcd: Option<TcpListener>,
    admin: TcpListener,
}

impl Ports {
    /// Opens them all, or tells which cannot be.
    pub(crate) fn open(conf: &Conf) -> Result<Self> {
        let etcd = conf
            .roles
            .gateway()
            .map(|gateway| named("gateway.etcd.listen", accept::bind(gateway.etcd.listen)))
            .transpose();
        let admin = named("admin.listen", accept::bind(conf.admin.listen));
        match (etcd, admin) {
            (Ok(etcd), Ok(admin)) => Ok(Self { etcd, admin }),
            (Err(etcd), Err(admin)) => bail!("{etcd}\nerror: {admin}"),
            (Err(problem), Ok(_)) | (Ok(_), Err(problem)) => bail!("{problem}"),
        }
    }
}

/// Names the key or flag that asked for a port, should it not open.
pub(crate) fn named(
    key: &str,
    bound: Result<TcpListener, BindError>,
) -> Result<TcpListener, String> {
    bound.map_err(|error| format!("{key}: {error}"))
}

/// What is wrong inside the certificate files that the configuration names.
pub(crate) fn tls_problems(conf: &Conf) -> Vec<String> {
    let roles = &conf.roles;
    let server = roles.gateway().and_then(|gateway| {
        let error = server_tls(gateway).err()?;
        Some(format!("gateway.etcd.tls: {error}"))
    });
    let link = roles.link().and_then(|link| {
        let error = link_tls(link).err()?;
        Some(format!("link: {error}"))
    });
    let home = roles.home().and_then(|home| {
        let secure = |endpoint: &meridian_conf::Endpoint| endpoint.scheme() == Scheme::Https;
        let RemoteTls { ca, identity } = home_tls(home).unwrap_or_default();
        let wanted = home.endpoints.iter().any(secure);
        let error = wanted.then(|| tls::client_config(ca.as_deref(), identity).err())??;
        Some(format!("home.tls: {error}"))
    });
    server.into_iter().chain(home).chain(link).collect()
}

/// A running node.
pub(crate) struct Node {
    gateway: Gateway,
    home: TaskGroup,
    admin: AdminServer,
    drain: Duration,
}

/// Starts every room of a node.
pub(crate) fn start_node(
    conf: &Conf,
    ports: Ports,
    metrics: Metrics,
    root: &TaskGroup,
) -> Result<Node> {
    describe_metrics();
    metrics.start_upkeep(root);
    let Ports { etcd, admin } = ports;
    let upstream = root.child("upstream");
    let way = Way::open(conf, &upstream)?;
    let door = match (conf.roles.gateway(), etcd) {
        (Some(gateway), Some(listener)) => {
            let listen = listener.local_addr().context("look at the open port")?;
            let tls = gateway.etcd.tls.as_ref();
            Some(DoorPlan {
                listener,
                tls: server_tls(gateway)?.map(Arc::new),
                advertise: gateway.etcd.advertise.urls(listen, tls),
            })
        }
        (Some(_) | None, _) => None,
    };
    let plan = GatewayPlan {
        engine: engine_config(conf),
        door,
        ready_staleness: conf
            .roles
            .gateway()
            .map_or(READY_STALENESS, |gateway| gateway.replica.ready_staleness),
    };
    let gateway = Gateway::start(plan, way, root)?;
    let admin = admin::serve(admin, gateway.view().routes(metrics)).context("start admin port")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        region = conf.node.region,
        etcd = ?gateway.view().listen(),
        admin = %admin.address(),
        "node started"
    );
    Ok(Node {
        gateway,
        home: upstream,
        admin,
        drain: conf.node.drain_timeout,
    })
}

impl Node {
    /// Stops it in order; whether everything has ended.
    pub(crate) async fn stop(self, root: TaskGroup) -> bool {
        let Self {
            gateway,
            home,
            admin,
            drain,
        } = self;
        let gateway = gateway.stop(drain).await;
        let home = all_ended("home", &home.stop(ROOM_STOP).await);
        let rest = all_ended("node", &root.stop(ROOM_STOP).await);
        stop_admin(vec![admin]).await;
        tracing::info!("stopped");
        gateway && home && rest
    }
}

/// Stops admin ports, which block while they end.
pub(crate) async fn stop_admin(servers: Vec<AdminServer>) {
    let stopping = || servers.into_iter().for_each(AdminServer::stop);
    if tokio::task::spawn_blocking(stopping).await.is_err() {
        tracing::error!("an admin port did not stop");
    }
}

/// Tells the recorder what all rooms count.
pub(crate) fn describe_metrics() {
    meridian_engine::describe_metrics();
    meridian_door_etcd::describe_metrics();
    meridian_delegate::describe_metrics();
    meridian_delegate::link::describe_metrics();
}

fn remote_config(home: &Home) -> RemoteConfig {
    RemoteConfig {
        tls: home_tls(home),
        call_timeout: home.call_timeout,
        ..RemoteConfig::of(home.endpoints.iter().map(ToString::to_string))
    }
}

fn home_tls(home: &Home) -> Option<RemoteTls> {
    let ClientTls { ca, identity } = home.tls.clone()?;
    let identity = identity.map(|FilePair { cert, key }| Identity { cert, key });
    Some(RemoteTls { ca, identity })
}

fn server_tls(gateway: &GatewayConf) -> Result<Option<ReloadableServer>, TlsError> {
    let Some(files) = &gateway.etcd.tls else {
        return Ok(None);
    };
    let FilePair { cert, key } = &files.identity;
    tls::server_config(cert, key, files.client_ca.as_deref().map(Path::new)).map(Some)
}

/// Whether the files of a link can be used; what they say is looked at when it opens.
fn link_tls(link: &Link) -> Result<ReloadableServer, TlsError> {
    let FilePair { cert, key } = &link.identity;
    tls::server_config(cert, key, Some(&link.ca))
}

fn engine_config(conf: &Conf) -> EngineConfig {
    let config = EngineConfig::new(conf.node.name.clone(), conf.node.region.clone());
    let Some(gateway) = conf.roles.gateway() else {
        return config;
    };
    let Replica {
        history_bytes,
        history_revisions,
        probe_interval,
        ready_staleness: _,
    } = gateway.replica;
    EngineConfig {
        history: WindowLimits {
            bytes: bytes_bound(history_bytes),
            revisions: bytes_bound(history_revisions),
        },
        probe_interval,
        progress_interval: gateway.etcd.progress_notify_interval,
        ..config
    }
}

/// A bound from the configuration: far below a 64-bit word, which is what we build for.
fn bytes_bound(bound: u64) -> usize {
    usize::try_from(bound).unwrap_or(usize::MAX)
}
