//! A node behind a hub: takes the log from its region's delegate or from the hub, serves it to its
//! region's members while it is the delegate itself, and carries calls to the hub.
//!
//! Invariant: one subscription fills the relay at a time, two only while the one is exchanged for
//! the other; whoever reads here reads the relay. What is used, the machines say.

mod driver;
mod members;
mod session;
mod stream;
mod upstream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use meridian_home::Home;
use meridian_keyspace::Revision;
use meridian_revlog::{EncoderConfig, Epoch, Feed};
use meridian_runtime::TaskGroup;
use tokio::sync::{Semaphore, mpsc};

pub use self::upstream::SnapshotProgress;
use self::{
    driver::{Driver, EVENTS_MAX, Published},
    members::Members,
    session::SessionConfig,
    upstream::NodeUpstream,
};
use crate::{
    NodeName,
    calls::{self, LinkHome},
    feed::RelayFeed,
    ledger::Ledger,
    link::{Endpoint, Kind, Link, LinkConfig, OpenError, StreamError},
    machine::{Assignment, source::Source},
    metrics,
    relay::Relay,
    replica::{ReplicaSlot, ReplicaSource},
    serve::{SNAPSHOTS_MAX, Station},
    status::{self, LinkStatus, NodeDocument, Role, StatusSource},
};

/// How often links are measured.
const SAMPLE: Duration = Duration::from_secs(1);

/// How long the hub may take to gather every node's status: above its own bound (2.5 s).
const STATUS_ALL_DEADLINE: Duration = Duration::from_millis(2800);

/// What a node is told by configuration.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Who it is; its certificate says the same.
    pub me: NodeName,
    /// The hubs (host:port), the best first.
    pub hubs: Vec<String>,
    /// UDP: where it serves the members of its region.
    pub listen: SocketAddr,
    /// Where members are told to link to (host:port); none: where it listens.
    pub advertise: Option<String>,
    /// Certificates and transport.
    pub link: LinkConfig,
    /// Bytes of coded log that are kept for resuming readers.
    pub window_bytes: usize,
}

/// A running node.
pub struct Node {
    members: Arc<Members>,
    published: Arc<Published>,
    upstream: Arc<NodeUpstream>,
    feed: Arc<RelayFeed>,
    home: Arc<LinkHome>,
    local_addr: SocketAddr,
}

impl Node {
    /// Opens the endpoint and begins to look for a hub.
    ///
    /// # Errors
    /// [`OpenError`], if certificates or the address cannot be used.
    pub fn start(config: NodeConfig, tasks: &TaskGroup) -> Result<Self, OpenError> {
        let NodeConfig {
            me,
            hubs,
            listen,
            advertise,
            link,
            window_bytes,
        } = config;
        let tasks = tasks.child("link");
        let endpoint = Arc::new(Endpoint::open(Some(listen), &link, &me, &tasks)?);
        let bound = endpoint.local_addr();
        let local_addr = bound.map_err(|source| OpenError::Bind {
            address: listen,
            source,
        })?;
        let relay = Relay::new(window_bytes);
        let published = Published::new();
        let ledger = Arc::<Ledger>::default();
        let replica = Arc::<ReplicaSlot>::default();
        let upstream = Arc::new(NodeUpstream::new(
            Arc::clone(&relay),
            Arc::clone(&replica),
            published.source.subscribe(),
            published.hub.subscribe(),
            Arc::clone(&published.received),
        ));
        let feed = Arc::new(RelayFeed::new(
            Arc::clone(&relay),
            Arc::new(Arc::clone(&upstream)),
        ));
        let home = LinkHome::new(
            Arc::clone(&published) as Arc<dyn calls::Links>,
            Arc::clone(&feed) as Arc<dyn Feed>,
            &tasks,
        );
        let (tell, happened) = mpsc::channel(EVENTS_MAX);
        let session = SessionConfig {
            me: me.clone(),
            instance: fastrand::u64(..),
            serves: Some(advertise.unwrap_or_else(|| local_addr.to_string())),
            relay: Arc::clone(&relay),
            published: Arc::clone(&published),
        };
        let members = Arc::new(Members {
            me,
            instance: session.instance,
            station: Station {
                relay: Arc::clone(&relay),
                replica,
                home: None,
                gate: published.gate.subscribe(),
                encoder: EncoderConfig::new(Epoch::ZERO),
                served: Arc::default(),
                snapshots: Semaphore::new(SNAPSHOTS_MAX),
            },
            region_index: home.region_index(),
            home: Arc::clone(&home) as Arc<dyn Home>,
            published: Arc::clone(&published),
            tell: tell.clone(),
            ledger: Arc::clone(&ledger),
            status: StatusSource::default(),
            tasks: tasks.clone(),
        });
        let driver = Driver::new(
            session,
            hubs,
            Arc::clone(&endpoint),
            Arc::clone(&upstream),
            Arc::clone(&members),
            tasks.clone(),
            tell,
        );
        let accept = members::accept(Arc::clone(&members), Arc::clone(&endpoint));
        let sample = crate::status::sample(ledger, SAMPLE);
        tasks.spawn_permanent("driver", crate::until(tasks.token(), driver.run(happened)));
        tasks.spawn_permanent("accept", crate::until(tasks.token(), accept));
        tasks.spawn_permanent("samples", crate::until(tasks.token(), sample));
        Ok(Self {
            members,
            published,
            upstream,
            feed,
            home,
            local_addr,
        })
    }

    /// Where members link to.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The home, as it is reached through the hub.
    pub fn home(&self) -> Arc<dyn Home> {
        Arc::clone(&self.home) as Arc<dyn Home>
    }

    /// The log.
    pub fn feed(&self) -> Arc<dyn Feed> {
        Arc::clone(&self.feed) as Arc<dyn Feed>
    }

    /// Names who keeps the replica that joiners are served from.
    pub fn set_replica(&self, replica: Arc<dyn ReplicaSource>) {
        self.members.station.replica.fill(replica);
    }

    /// Says what this process answers when it is asked for its status: a JSON document.
    pub fn set_status(&self, status: Arc<dyn Fn() -> String + Send + Sync>) {
        self.members.status.fill(status);
    }

    /// The home turned out to be another cluster, or to have gone back in time: what the window
    /// holds is not of this home.
    pub fn home_replaced(&self) {
        self.upstream.lose_everything();
    }

    /// The status of every node, as the hub gathers it.
    ///
    /// # Errors
    /// Why it cannot be had, in words.
    pub async fn status_all(&self) -> Result<Vec<NodeDocument>, String> {
        let hub: Option<Link> = self.published.hub.borrow().clone();
        let hub = hub.ok_or("this node is linked to no hub just now")?;
        let asking = async {
            let (mut send, mut recv) = hub.open(Kind::StatusAll).await?;
            send.open_and_finish().await?;
            status::read_list(&mut recv).await
        };
        let asked = tokio::time::timeout(STATUS_ALL_DEADLINE, asking).await;
        let asked = asked.map_err(|_| format!("hub {} does not answer", hub.peer()))?;
        asked.map_err(|error: StreamError| error.to_string())
    }

    /// How the link stands.
    pub fn status(&self) -> LinkStatus {
        let seen = self.published.seen.borrow().clone();
        let Members {
            me,
            station,
            ledger,
            ..
        } = &*self.members;
        let held = station.relay.held();
        let assignment = seen.assignment.as_ref();
        let delegate = assignment.and_then(Assignment::delegate_name);
        let role = match delegate {
            Some(delegate) if delegate == me => Role::Delegate,
            Some(_) | None => Role::Member,
        };
        let position = held.at.map_or(Revision::ZERO, |at| at.revision);
        let lag_revisions = seen.head.get().saturating_sub(position.get()).max(0);
        metrics::lag(lag_revisions);
        LinkStatus {
            source: match seen.source {
                Some(Source::Hub) => "hub",
                Some(Source::Delegate(_)) => "delegate",
                Some(Source::None) | None => "none",
            }
            .to_owned(),
            hub: seen.hub.as_ref().map(ToString::to_string),
            delegate: delegate.map(ToString::to_string),
            term: assignment.map_or(0, |assignment| assignment.term.get()),
            head: seen.head.get().max(position.get()),
            lag_revisions,
            snapshot: self.upstream.progress(),
            ..LinkStatus::of(role, &held, ledger, &station.served)
        }
    }
}
