//! One region of `meridian dev`: its ports and its gateway.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use meridian_engine::EngineConfig;
use meridian_runtime::{
    TaskGroup, accept,
    admin::{self, AdminServer},
    telemetry::Metrics,
};
use tokio::net::TcpListener;

use crate::wire::{DoorPlan, Gateway, GatewayPlan, GatewayView, Way, named};

/// A replica within this staleness is ready: many times the probe's interval and the round trip.
const READY_STALENESS: Duration = Duration::from_secs(10);

const US: &str = "127.0.0.1:2379";
const EU: &str = "127.0.0.1:12379";

/// Where the regions listen.
#[derive(Args)]
pub(super) struct RegionPorts {
    /// Where the gateway of us listens for etcd clients
    #[arg(long, value_name = "ADDRESS", default_value = US)]
    us_listen: SocketAddr,
    /// Where the gateway of eu listens for etcd clients
    #[arg(long, value_name = "ADDRESS", default_value = EU)]
    eu_listen: SocketAddr,
    /// Admin port of us [default: 127.0.0.1:2378, or any free one if --us-listen is given]
    #[arg(long, value_name = "ADDRESS")]
    us_admin: Option<SocketAddr>,
    /// Admin port of eu [default: 127.0.0.1:12378, or any free one if --eu-listen is given]
    #[arg(long, value_name = "ADDRESS")]
    eu_admin: Option<SocketAddr>,
}

/// The open ports of one region.
pub(super) struct Ports {
    etcd: TcpListener,
    admin: TcpListener,
}

impl RegionPorts {
    /// Opens all four: those of us, those of eu.
    pub(super) fn open(&self) -> Result<[Ports; 2]> {
        let Self {
            us_listen,
            eu_listen,
            us_admin,
            eu_admin,
        } = *self;
        let open = [
            named("--us-listen", accept::bind(us_listen)),
            named(
                "--us-admin",
                accept::bind(us_admin.unwrap_or(beside(us_listen, US))),
            ),
            named("--eu-listen", accept::bind(eu_listen)),
            named(
                "--eu-admin",
                accept::bind(eu_admin.unwrap_or(beside(eu_listen, EU))),
            ),
        ];
        let problems: Vec<&str> = open
            .iter()
            .filter_map(|port| port.as_ref().err().map(String::as_str))
            .collect();
        if !problems.is_empty() {
            bail!("{}", problems.join("\nerror: "));
        }
        let [us, us_admin, eu, eu_admin] = open.map(|port| port.map_err(|error| anyhow!(error)));
        Ok([
            Ports {
                etcd: us?,
                admin: us_admin?,
            },
            Ports {
                etcd: eu?,
                admin: eu_admin?,
            },
        ])
    }
}

impl Ports {
    /// The URL for clients.
    pub(super) fn client_url(&self) -> Result<String> {
        Ok(format!(
            "http://{}",
            self.etcd.local_addr().context("look at the open port")?
        ))
    }
}

/// The admin address that goes with `listen`: the port below it if that is the `usual` one, so
/// that it can be remembered; any free port otherwise, so that two of us get on.
fn beside(listen: SocketAddr, usual: &str) -> SocketAddr {
    let port = if listen.to_string() == usual {
        listen.port() - 1
    } else {
        0
    };
    SocketAddr::new(listen.ip(), port)
}

/// What a region is made from.
pub(super) struct RegionPlan {
    pub(super) name: &'static str,
    pub(super) ports: Ports,
    /// Its way to the home and the log.
    pub(super) way: Way,
    /// How often quiet watches are told how far they have come.
    pub(super) progress_interval: Duration,
}

/// A running region.
pub(super) struct Region {
    pub(super) name: &'static str,
    listen: SocketAddr,
    gateway: Gateway,
    admin: AdminServer,
}

impl Region {
    /// Starts it.
    pub(super) fn start(plan: RegionPlan, metrics: &Metrics, root: &TaskGroup) -> Result<Self> {
        let RegionPlan {
            name,
            ports,
            way,
            progress_interval,
        } = plan;
        let client_url = ports.client_url()?;
        let Ports { etcd, admin } = ports;
        let listen = etcd.local_addr().context("look at the open port")?;
        let plan = GatewayPlan {
            engine: EngineConfig {
                progress_interval,
                ..EngineConfig::new(format!("dev-{name}"), name)
            },
            door: Some(DoorPlan {
                listener: etcd,
                tls: None,
                advertise: vec![client_url],
            }),
            ready_staleness: READY_STALENESS,
        };
        let gateway = Gateway::start(plan, way, &root.child(name))?;
        let routes = gateway.view().routes(metrics.clone());
        let admin = admin::serve(admin, routes).context("start an admin port")?;
        Ok(Self {
            name,
            listen,
            gateway,
            admin,
        })
    }

    pub(super) fn view(&self) -> &GatewayView {
        self.gateway.view()
    }

    /// Where its door listens.
    pub(super) fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where its admin port is.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Stops its gateway; whether everything has ended. The admin port is left to the caller, to be
    /// the last that stops.
    pub(super) async fn stop(self, drain: Duration) -> (bool, AdminServer) {
        let Self {
            name: _,
            listen: _,
            gateway,
            admin,
        } = self;
        (gateway.stop(drain).await, admin)
    }
}
