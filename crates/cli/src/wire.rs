//! The composition root: the one place where rooms meet.
//!
//! Turns a configuration into running rooms and stops them in order: doors, engine, home, then
//! what is left, the admin port last. Invariant: everything that can be wrong with files and
//! addresses is found before the first room starts. It decides nothing that a room decides.

mod gateway;
mod report;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use meridian_conf::{ClientTls, Conf, FilePair, Replica, Scheme};
use meridian_engine::EngineConfig;
use meridian_home::remote::{RemoteConfig, RemoteHome, RemoteTls};
use meridian_keyspace::WindowLimits;
use meridian_runtime::{
    TaskGroup,
    accept::{self, BindError},
    admin::{self, AdminServer},
    telemetry::Metrics,
    tls::{self, Identity, ReloadableServer, TlsError},
};
use tokio::net::TcpListener;

pub(crate) use gateway::{Gateway, GatewayPlan, GatewayView};
pub(crate) use report::all_ended;

/// What engine and home get after the doors are drained: their tasks only look at their token.
pub(crate) const ROOM_STOP: Duration = Duration::from_secs(3);

/// The ports of a node, open.
pub(crate) struct Ports {
    etcd: TcpListener,
    admin: TcpListener,
}

impl Ports {
    /// Opens them all, or tells which cannot be.
    pub(crate) fn open(conf: &Conf) -> Result<Self> {
        let etcd = named(
            "gateway.etcd.listen",
            accept::bind(conf.gateway.etcd.listen),
        );
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
    let server = server_tls(conf)
        .err()
        .map(|error| format!("gateway.etcd.tls: {error}"));
    let wants_tls = conf
        .home
        .endpoints
        .iter()
        .any(|endpoint| endpoint.scheme() == Scheme::Https);
    let RemoteTls { ca, identity } = home_tls(conf).unwrap_or_default();
    let client = match wants_tls {
        true => tls::client_config(ca.as_deref(), identity).err(),
        false => None,
    };
    server
        .into_iter()
        .chain(client.map(|error| format!("home.tls: {error}")))
        .collect()
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
    let home = RemoteHome::connect(remote_config(conf), &upstream).context("use [home]")?;
    let listen = etcd.local_addr().context("look at the open port")?;
    let plan = GatewayPlan {
        engine: engine_config(conf),
        listener: etcd,
        tls: server_tls(conf)?.map(Arc::new),
        advertise: conf
            .gateway
            .etcd
            .advertise
            .urls(listen, conf.gateway.etcd.tls.as_ref()),
        ready_staleness: conf.gateway.replica.ready_staleness,
    };
    let gateway = Gateway::start(plan, home, root)?;
    let admin = admin::serve(admin, gateway.view().routes(metrics)).context("start admin port")?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        region = conf.node.region,
        etcd = %listen,
        admin = %admin.address(),
        home = ?conf.home.endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(),
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
}

fn remote_config(conf: &Conf) -> RemoteConfig {
    RemoteConfig {
        tls: home_tls(conf),
        call_timeout: conf.home.call_timeout,
        ..RemoteConfig::of(conf.home.endpoints.iter().map(ToString::to_string))
    }
}

fn home_tls(conf: &Conf) -> Option<RemoteTls> {
    let ClientTls { ca, identity } = conf.home.tls.clone()?;
    let identity = identity.map(|FilePair { cert, key }| Identity { cert, key });
    Some(RemoteTls { ca, identity })
}

fn server_tls(conf: &Conf) -> Result<Option<ReloadableServer>, TlsError> {
    let Some(files) = &conf.gateway.etcd.tls else {
        return Ok(None);
    };
    let FilePair { cert, key } = &files.identity;
    tls::server_config(cert, key, files.client_ca.as_deref().map(Path::new)).map(Some)
}

fn engine_config(conf: &Conf) -> EngineConfig {
    let Replica {
        history_bytes,
        history_revisions,
        probe_interval,
        ready_staleness: _,
    } = conf.gateway.replica;
    // Their bounds are far below a 64-bit word, which is what we build for.
    let bound = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    EngineConfig {
        history: WindowLimits {
            bytes: bound(history_bytes),
            revisions: bound(history_revisions),
        },
        probe_interval,
        progress_interval: conf.gateway.etcd.progress_notify_interval,
        ..EngineConfig::new(conf.node.name.clone(), conf.node.region.clone())
    }
}
