//! A node, a hub and a home that does as it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_home::{
    Call, CallError, Commits, Description, EndpointStatus, EtcdError, Facts, Fate, FollowError,
    Home, Method, RangeChanges, Replies, Reply, Snapshot, StreamCall,
};
use meridian_keyspace::{Commit, KeyRange, Revision};
use meridian_revlog::{Feed, FeedError, FeedSnapshot};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::metadata::{MetadataMap, MetadataValue};

use super::super::{LinkHome, Links, Shared, serve};
use crate::{
    link::{Kind, Link, WINDOW_BYTES},
    testing::{Office, Pair, Port, SOON, node},
};

/// The size of what the flood is made of.
pub(super) const FLOOD_BYTES: usize = 64 << 10;

/// Metadata with a value that is no text.
pub(super) fn metadata() -> MetadataMap {
    let mut metadata = MetadataMap::new();
    metadata.insert("token", MetadataValue::from_static("secret of a client"));
    metadata.insert_bin("trace-bin", MetadataValue::from_bytes(&[0, 1, 254, 255]));
    metadata
}

pub(super) async fn eventually(holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let held = tokio::time::timeout(SOON, held).await;
    held.expect("it holds in the end");
}

/// The links that a test gives a node.
pub(super) struct TestLinks {
    pub(super) hub: watch::Sender<Option<Link>>,
    pub(super) delegate: Mutex<Option<Link>>,
}

impl TestLinks {
    pub(super) fn new(hub: Option<Link>) -> Arc<Self> {
        Arc::new(Self {
            hub: watch::Sender::new(hub),
            delegate: Mutex::new(None),
        })
    }
}

#[async_trait]
impl Links for TestLinks {
    async fn hub(&self, deadline: Instant) -> Result<Link, CallError> {
        let mut hub = self.hub.subscribe();
        let found = hub.wait_for(|link| link.is_some());
        match tokio::time::timeout_at(deadline.into(), found).await {
            Ok(Ok(link)) => Ok(link.clone().expect("it was waited for")),
            Ok(Err(_)) | Err(_) => Err(CallError::no_connection()),
        }
    }

    fn delegate(&self) -> Option<Link> {
        self.delegate.lock().clone()
    }
}

/// A feed that has nothing.
pub(super) struct NoFeed;

#[async_trait]
impl Feed for NoFeed {
    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError> {
        Err(FeedError::Unavailable("nothing here".to_owned()))
    }

    async fn follow(
        &self,
        _from: Revision,
    ) -> Result<futures_core::stream::BoxStream<'static, Result<Vec<Commit>, FeedError>>, FeedError>
    {
        Err(FeedError::Compacted {
            compacted: Revision::new(3),
        })
    }
}

/// Counts how many calls were dropped before their end.
pub(super) struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A home that does as it is told, by method.
pub(super) struct Scripted {
    pub(super) calls: Mutex<Vec<Call>>,
    pub(super) dropped: Arc<AtomicUsize>,
    pub(super) flooded: Arc<AtomicUsize>,
    pub(super) revision: AtomicI64,
    probes: AtomicUsize,
    open: watch::Sender<bool>,
    denies: AtomicBool,
    /// How many unary reads hang before one is answered.
    pub(super) hangs: AtomicUsize,
}

impl Scripted {
    pub(super) const CLUSTER: u64 = 0xc1;

    fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            dropped: Arc::default(),
            flooded: Arc::default(),
            revision: AtomicI64::new(1),
            probes: AtomicUsize::new(0),
            open: watch::Sender::new(true),
            denies: AtomicBool::new(false),
            hangs: AtomicUsize::new(0),
        })
    }

    pub(super) fn probes(&self) -> usize {
        self.probes.load(Ordering::SeqCst)
    }

    pub(super) fn hold_probes(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn release_probes(&self) {
        self.open.send_replace(true);
    }

    pub(super) fn deny_probes(&self) {
        self.denies.store(true, Ordering::SeqCst);
    }

    pub(super) fn count(&self, method: Method) -> usize {
        let calls = self.calls.lock();
        calls.iter().filter(|call| call.method == method).count()
    }

    pub(super) fn dropped(&self) -> usize {
        self.dropped.load(Ordering::SeqCst)
    }

    fn refusal() -> CallError {
        let told = EtcdError::USER_EXISTS;
        CallError {
            metadata: metadata(),
            ..CallError::new(told.code(), told.message(), Fate::Refused)
        }
    }

    async fn hang(&self) -> ! {
        let _dropped = Dropped(self.dropped.clone());
        std::future::pending().await
    }
}

#[async_trait]
impl Home for Scripted {
    fn describe(&self) -> Description {
        Description {
            kind: "etcd",
            replicated: true,
            version: Some("3.9.9".to_owned()),
            endpoints: vec![EndpointStatus {
                url: "http://scripted".to_owned(),
                version: None,
                healthy: true,
                last_error: None,
                warning: None,
            }],
        }
    }

    async fn unary(&self, call: Call) -> Result<Reply, CallError> {
        self.calls.lock().push(call.clone());
        match call.method {
            Method::KvPut => self.hang().await,
            Method::KvTxn => Err(Self::refusal()),
            _ => {
                let fewer = |hangs: usize| hangs.checked_sub(1);
                let order = (Ordering::SeqCst, Ordering::SeqCst);
                if self.hangs.fetch_update(order.0, order.1, fewer).is_ok() {
                    self.hang().await;
                }
                Ok(Reply {
                    metadata: call.metadata,
                    message: call.message,
                })
            }
        }
    }

    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        let StreamCall {
            method,
            metadata,
            requests,
        } = call;
        let dropped = Dropped(self.dropped.clone());
        let messages = match method {
            // Echoes until the requests end.
            Method::Watch => requests
                .map(move |request| {
                    let _ = &dropped;
                    Ok(request)
                })
                .boxed(),
            // Sends as fast as it may, and reads no request.
            Method::LeaseKeepAlive => {
                let flooded = self.flooded.clone();
                let flood = Bytes::from(vec![7; FLOOD_BYTES]);
                stream::repeat_with(move || {
                    let _ = (&dropped, &requests);
                    flooded.fetch_add(1, Ordering::SeqCst);
                    Ok(flood.clone())
                })
                .boxed()
            }
            // Two messages and an error.
            Method::ElectionObserve => stream::iter([
                Ok(Bytes::from_static(b"one")),
                Ok(Bytes::from_static(b"two")),
                Err(Self::refusal()),
            ])
            .boxed(),
            _ => return Err(Self::refusal()),
        };
        Ok(Replies { metadata, messages })
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        if self.denies.load(Ordering::SeqCst) {
            let told = EtcdError::USER_EMPTY;
            return Err(CallError::new(told.code(), told.message(), Fate::Refused));
        }
        let revision = Revision::new(self.revision.load(Ordering::SeqCst));
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|open| *open).await;
        Ok(Facts {
            cluster_id: Self::CLUSTER,
            member_id: 2,
            raft_term: 3,
            revision,
        })
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        Err(Self::refusal())
    }

    async fn follow(&self, _from: Revision) -> Result<Commits, FollowError> {
        Err(Self::refusal().into())
    }

    async fn follow_range(
        &self,
        _range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        Err(FollowError::Compacted {
            compacted: from.next(),
        })
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        Ok(true)
    }
}

/// A hub that serves a home, and a node that uses it.
pub(super) struct World {
    pub(super) scripted: Arc<Scripted>,
    pub(super) home: Arc<LinkHome>,
    pub(super) links: Arc<TestLinks>,
    pub(super) shared: Arc<Shared>,
    pub(super) pair: Pair,
}

/// Serves every call that comes over `link`.
pub(super) fn serve_all(port: &Port, link: Link, home: Arc<dyn Home>, shared: Arc<Shared>) {
    let tasks = port.tasks.clone();
    port.tasks.spawn("calls", async move {
        while let Some((kind, send, recv)) = link.accept().await {
            let (home, shared) = (home.clone(), shared.clone());
            tasks.spawn("call", async move {
                serve(kind, send, recv, home, &shared).await;
            });
        }
    });
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with_window(WINDOW_BYTES).await
    }

    pub(super) async fn with_window(window_bytes: u64) -> Self {
        let scripted = Scripted::new();
        let (pair, links, home, shared) = connect(scripted.clone(), window_bytes).await;
        Self {
            scripted,
            home,
            links,
            shared,
            pair,
        }
    }

    /// Another link between the same two, served like the first.
    pub(super) async fn reconnect(&self) -> Link {
        let Pair { hub, node, .. } = &self.pair;
        let link = node.endpoint.connect_hub(&hub.address).await.unwrap();
        let accepted = hub.accept().await;
        serve_all(hub, accepted, self.scripted.clone(), self.shared.clone());
        link
    }

    /// A member that has this world's node as its delegate.
    pub(super) async fn member(&self) -> (Arc<LinkHome>, Port) {
        let name = node("eu", "gw-2");
        let config = self.pair.authority.issue(&name, Office::Member);
        let port = Port::open(&config, &name);
        let delegate = &self.pair.node;
        let expected = node("eu", "gw-1");
        let to_delegate = port.endpoint.connect_node(&delegate.address, &expected);
        let to_delegate = to_delegate.await.unwrap();
        let accepted = delegate.accept().await;
        let region = self.home.region_index();
        serve_all(delegate, accepted, self.home.clone(), region);
        let links = TestLinks::new(None);
        *links.delegate.lock() = Some(to_delegate);
        (LinkHome::new(links, Arc::new(NoFeed), &port.tasks), port)
    }

    /// Opens a stream of its own on the node's link.
    pub(super) async fn raw(&self, kind: Kind) -> (crate::link::Send, crate::link::Recv) {
        self.pair.link.open(kind).await.unwrap()
    }
}

/// A pair of nodes of which one serves `home` to the other.
pub(super) async fn connect(
    home: Arc<dyn Home>,
    window_bytes: u64,
) -> (Pair, Arc<TestLinks>, Arc<LinkHome>, Arc<Shared>) {
    let pair = Pair::with_window(window_bytes).await;
    let shared = Shared::of_home(home.clone(), &pair.hub.tasks);
    serve_all(&pair.hub, pair.accepted.clone(), home, shared.clone());
    let links = TestLinks::new(Some(pair.link.clone()));
    let home = LinkHome::new(links.clone(), Arc::new(NoFeed), &pair.node.tasks);
    (pair, links, home, shared)
}
