//! The hub: reads the log from the home once, codes it once, and serves every region.
//!
//! Owns the relay beside the home, the endpoint that all regions' nodes link to, the naming of each
//! region's delegate, and the calls that come over links. Invariant: one watch on the home, whatever
//! the number of regions. It does not know what a call means, nor what a batch holds.

mod coordinator;
mod nodes;
mod upstream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use meridian_home::Home;
use meridian_revlog::{EncoderConfig, Epoch, Feed};
use meridian_runtime::TaskGroup;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

pub use self::coordinator::{NodeSeen, RegionSeen};
use self::{
    coordinator::{Coordinator, EVENTS_MAX},
    nodes::Nodes,
    upstream::HubUpstream,
};
use crate::{
    NodeName,
    calls::Shared,
    feed::RelayFeed,
    link::{Endpoint, LinkConfig, OpenError},
    machine::Term,
    pump::Pump,
    relay::Relay,
    replica::{ReplicaSlot, ReplicaSource},
    serve::{Gate, SNAPSHOTS_MAX, Station},
    status::{LinkStatus, NodeDocument, Role, StatusSource},
};

/// How often links are measured.
const SAMPLE: Duration = Duration::from_secs(1);

/// What a hub is told by configuration.
#[derive(Clone, Debug)]
pub struct HubConfig {
    /// Who it is; its certificate says the same, and that it may be a hub.
    pub me: NodeName,
    /// UDP: where nodes link to.
    pub listen: SocketAddr,
    /// Certificates and transport.
    pub link: LinkConfig,
    /// Bytes of coded log that are kept for resuming readers.
    pub window_bytes: usize,
}

/// A running hub.
pub struct Hub {
    nodes: Arc<Nodes>,
    feed: Arc<RelayFeed>,
    replaced: Arc<Notify>,
    local_addr: SocketAddr,
}

impl Hub {
    /// Opens the endpoint, begins to read the log of `home` and to serve it.
    ///
    /// # Errors
    /// [`OpenError`], if certificates or the address cannot be used.
    pub fn start(
        config: HubConfig,
        home: Arc<dyn Home>,
        tasks: &TaskGroup,
    ) -> Result<Self, OpenError> {
        let HubConfig {
            me,
            listen,
            link,
            window_bytes,
        } = config;
        let tasks = tasks.child("hub");
        let endpoint = Arc::new(Endpoint::open(Some(listen), &link, &me, &tasks)?);
        let bound = endpoint.local_addr();
        let local_addr = bound.map_err(|source| OpenError::Bind {
            address: listen,
            source,
        })?;
        let relay = Relay::new(window_bytes);
        let replica = Arc::<ReplicaSlot>::default();
        let encoder = EncoderConfig::new(Epoch::ZERO);
        let station = Station {
            relay: Arc::clone(&relay),
            replica,
            home: Some(Arc::clone(&home)),
            // A hub serves whoever has a certificate.
            gate: watch::Sender::new(Gate::Open).subscribe(),
            encoder,
            served: Arc::default(),
            snapshots: Semaphore::new(SNAPSHOTS_MAX),
        };
        let (events, arriving) = mpsc::channel(EVENTS_MAX);
        let seen = watch::Sender::new(Vec::new());
        let nodes = Arc::new(Nodes {
            me,
            instance: fastrand::u64(..),
            station,
            shared: Shared::of_home(Arc::clone(&home), &tasks),
            home: Arc::clone(&home),
            ledger: Arc::default(),
            events,
            seen: seen.subscribe(),
            links: dashmap::DashMap::new(),
            status: StatusSource::default(),
            gathered: tokio::sync::Mutex::default(),
            tasks: tasks.clone(),
        });
        let replaced = Arc::new(Notify::new());
        let pump = Pump::new(
            Arc::clone(&home),
            Arc::clone(&relay),
            encoder,
            Arc::clone(&replaced),
        );
        let coordinator = Coordinator::new(Arc::clone(&relay), seen, first_term());
        tasks.spawn_permanent("pump", crate::until(tasks.token(), pump.run()));
        tasks.spawn_permanent(
            "coordinator",
            crate::until(tasks.token(), coordinator.run(arriving)),
        );
        tasks.spawn_permanent(
            "accept",
            crate::until(tasks.token(), nodes::accept(Arc::clone(&nodes), endpoint)),
        );
        tasks.spawn_permanent(
            "samples",
            crate::until(
                tasks.token(),
                crate::status::sample(Arc::clone(&nodes.ledger), SAMPLE),
            ),
        );
        let upstream = Arc::new(HubUpstream(home));
        Ok(Self {
            feed: Arc::new(RelayFeed::new(relay, upstream)),
            nodes,
            replaced,
            local_addr,
        })
    }

    /// Where nodes link to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The log for this process's own replica: no second watch on the home.
    pub fn feed(&self) -> Arc<dyn Feed> {
        Arc::clone(&self.feed) as Arc<dyn Feed>
    }

    /// Names who keeps the replica that joiners are served from.
    pub fn set_replica(&self, replica: Arc<dyn ReplicaSource>) {
        self.nodes.station.replica.fill(replica);
    }

    /// Says what this process answers when it is asked for its status: a JSON document.
    pub fn set_status(&self, status: Arc<dyn Fn() -> String + Send + Sync>) {
        self.nodes.status.fill(status);
    }

    /// The home turned out to be another cluster, or to have gone back in time: the log begins anew.
    pub fn home_replaced(&self) {
        self.replaced.notify_one();
    }

    /// The status of every node, each asked now.
    pub async fn status_all(&self) -> Vec<NodeDocument> {
        nodes::status_all(&self.nodes).await
    }

    /// How the link stands.
    pub fn status(&self) -> LinkStatus {
        let regions = self.nodes.seen.borrow().clone();
        let held = self.nodes.station.relay.held();
        LinkStatus {
            regions: Some(regions),
            ..LinkStatus::of(
                Role::Hub,
                &held,
                &self.nodes.ledger,
                &self.nodes.station.served,
            )
        }
    }
}

/// Terms of a hub that starts anew are above those of before: it begins at the time of day in
/// milliseconds, and changes assignments less than a thousand times a second.
fn first_term() -> Term {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Term::new(since.map_or(1, |since| since.as_millis() as u64))
}
