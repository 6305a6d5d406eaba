//! A home with hubs beside it, and nodes in regions.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_delegate::{Hub, HubConfig, LinkStatus, NodeConfig, NodeName, ReplicaSource};
use meridian_home::{
    Call, Home, Method,
    embedded::{EmbeddedConfig, EmbeddedHome},
};
use meridian_keyspace::{
    KeySpan, RangeQuery, Record, Revision, SharedKeyspace, WindowLimits, shared::Step,
};
use meridian_runtime::TaskGroup;
use parking_lot::Mutex;
use prost::Message;
use tempfile::TempDir;

use super::{pki::Pki, replica::Replica};

/// How long what must come may take.
pub(crate) const SOON: Duration = Duration::from_secs(40);

/// What a test wants otherwise.
pub(crate) struct Setup {
    pub(crate) window_bytes: usize,
    pub(crate) history: WindowLimits,
}

/// `etcdserverpb.PutRequest`, and with `physical` the compaction's.
#[derive(Clone, PartialEq, prost::Message)]
struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Compact {
    #[prost(int64, tag = "1")]
    revision: i64,
}

pub(crate) struct World {
    pub(crate) pki: Pki,
    home: Arc<EmbeddedHome>,
    setup: Setup,
    tasks: TaskGroup,
    home_tasks: TaskGroup,
    _dir: TempDir,
}

pub(crate) struct RunningHub {
    pub(crate) hub: Hub,
    pub(crate) address: String,
    pub(crate) replica: Arc<Replica>,
    tasks: TaskGroup,
}

pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) node: meridian_delegate::Node,
    pub(crate) replica: Arc<Replica>,
    tasks: TaskGroup,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Setup {
            window_bytes: super::LARGE,
            history: WindowLimits::UNLIMITED,
        })
        .await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let (dir, home_tasks) = (TempDir::new().unwrap(), TaskGroup::root("home"));
        let config = EmbeddedConfig {
            dir: dir.path().to_owned(),
            name: "home".to_owned(),
            client_urls: Vec::new(),
        };
        let home = EmbeddedHome::open(config, &home_tasks).unwrap();
        let world = Self {
            pki: Pki::new(),
            home,
            setup,
            tasks: TaskGroup::root("world"),
            home_tasks,
            _dir: dir,
        };
        world.write(3).await;
        world
    }

    pub(crate) fn name(&self, region: &str, name: &str) -> NodeName {
        NodeName {
            region: region.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(crate) async fn hub(&self, name: &str) -> RunningHub {
        let (me, tasks) = (self.name("us", name), self.tasks.child(name));
        let config = HubConfig {
            link: self.pki.issue(&me, true),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            window_bytes: self.setup.window_bytes,
            me,
        };
        let home = Arc::clone(&self.home) as Arc<dyn Home>;
        let document = format!("\"us/{name}\"");
        let hub = Hub::start(config, home, &tasks).unwrap();
        let replica = Replica::start(hub.feed(), self.setup.history, &tasks);
        hub.set_replica(Arc::clone(&replica) as Arc<dyn ReplicaSource>);
        hub.set_status(Arc::new(move || document.clone()));
        replica.reaches(self.revision().await).await;
        RunningHub {
            address: hub.local_addr().to_string(),
            hub,
            replica,
            tasks,
        }
    }

    pub(crate) fn node(&self, region: &str, name: &str, hubs: &[&str]) -> Node {
        let me = self.name(region, name);
        let tasks = self.tasks.child(&me);
        let document = format!("\"{me}\"");
        let config = NodeConfig {
            hubs: hubs.iter().map(|&hub| hub.to_owned()).collect(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertise: None,
            link: self.pki.issue(&me, false),
            window_bytes: self.setup.window_bytes,
            me,
        };
        let node = meridian_delegate::Node::start(config, &tasks).unwrap();
        let replica = Replica::start(node.feed(), self.setup.history, &tasks);
        node.set_replica(Arc::clone(&replica) as Arc<dyn ReplicaSource>);
        node.set_status(Arc::new(move || document.clone()));
        Node {
            name: name.to_owned(),
            node,
            replica,
            tasks,
        }
    }

    /// Commits so many revisions, one after the other, over a hundred keys.
    pub(crate) async fn write(&self, count: u32) {
        for n in 0..count {
            self.put(
                format!("key/{}", n % 100),
                format!("value {n} of some length"),
            )
            .await;
        }
    }

    /// Commits so many revisions of 64 KiB that do not compress, each to a key of its own.
    pub(crate) async fn write_large(&self, count: u32) {
        let puts = stream::iter(0..count).map(|n| {
            let mut random = fastrand::Rng::with_seed(u64::from(n));
            let value: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
                .take(64 << 10)
                .collect();
            self.put(format!("large/{n}"), value)
        });
        puts.buffer_unordered(8).for_each(|()| async {}).await;
    }

    async fn put(&self, key: String, value: impl Into<Bytes>) {
        let put = Put {
            key: key.into(),
            value: value.into(),
        };
        let call = Call::new(Method::KvPut, put.encode_to_vec().into());
        self.home.unary(call).await.unwrap();
    }

    /// Compacts the home's history up to now.
    pub(crate) async fn compact(&self) {
        let compact = Compact {
            revision: self.revision().await.get(),
        };
        let call = Call::new(Method::KvCompact, compact.encode_to_vec().into());
        self.home.unary(call).await.unwrap();
    }

    pub(crate) async fn revision(&self) -> Revision {
        self.home.read_index().await.unwrap().revision
    }

    /// Waits until a replica is where the home is, and compares them key by key.
    pub(crate) async fn equals(&self, replica: &Replica) {
        replica.reaches(self.revision().await).await;
        let mut snapshot = self.home.snapshot().await.unwrap();
        let mut due = Vec::new();
        while let Some(page) = snapshot.pages.next().await {
            due.extend(page.unwrap());
        }
        let held = records(&replica.replica().unwrap());
        assert_eq!(held.len(), due.len());
        for (held, due) in held.iter().zip(&due) {
            assert_eq!(held.fields(), due.fields());
        }
    }

    pub(crate) async fn stop(self) {
        assert!(self.tasks.failure().is_none(), "{:?}", self.tasks.failure());
        let stopped = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(stopped.is_clean(), "{stopped:?}");
        self.home_tasks.stop(Duration::from_secs(5)).await;
    }
}

fn records(keyspace: &Arc<SharedKeyspace>) -> Vec<Record> {
    let mut scan = keyspace.scan(RangeQuery::of(KeySpan::ALL)).unwrap();
    let mut records = Vec::new();
    while scan.step(&mut |record| records.push(record.clone())) == Step::More {}
    records
}

impl RunningHub {
    pub(crate) async fn stop(self) {
        let stopped = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(stopped.is_clean(), "{stopped:?}");
    }
}

impl Node {
    pub(crate) fn status(&self) -> LinkStatus {
        self.node.status()
    }

    pub(crate) fn address(&self) -> String {
        self.node.local_addr().to_string()
    }

    /// Waits until it has a replica.
    pub(crate) async fn settles(&self) {
        self.replica.reaches(Revision::new(1)).await;
    }

    pub(crate) async fn stop(self) {
        let stopped = self.tasks.stop(Duration::from_secs(5)).await;
        assert!(stopped.is_clean(), "{stopped:?}");
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let held = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let held = tokio::time::timeout(SOON, held).await;
    assert!(held.is_ok(), "not in time: {what}");
}

/// What is logged on this thread at WARN or above, while the guard lives.
pub(crate) fn warnings() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let lines = Arc::<Mutex<Vec<u8>>>::default();
    let writer = Arc::clone(&lines);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_ansi(false)
        .with_writer(move || Lines(Arc::clone(&writer)))
        .finish();
    (lines, tracing::subscriber::set_default(subscriber))
}
