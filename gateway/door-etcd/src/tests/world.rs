//! A home, a gateway and its clients, in this process.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use meridian_engine::{Engine, EngineConfig, HomeFeed, Mode};
use meridian_etcd_api::etcdserverpb::{PutRequest, PutResponse, RangeRequest, kv_client::KvClient};
use meridian_home::{
    Call, CallError, Commits, Description, Facts, Fate, FollowError, Home, RangeChanges, Replies,
    Reply, Snapshot, StreamCall,
    embedded::{EmbeddedConfig, EmbeddedHome},
};
use meridian_keyspace::{KeyRange, Revision};
use meridian_runtime::{TaskGroup, accept, tls::ReloadableServer};
use tokio::sync::watch;
use tonic::{Code, transport::Channel};

use crate::{DoorConfig, DoorHandle, serve};

/// The longest that anything here may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The name of the gateway.
pub(super) const NODE: &str = "gate-1";

/// The client URL it advertises.
pub(super) const ADVERTISED: &str = "http://gate.example:2379";

/// A running gateway. Dropping it without [`World::stop`] leaves its tasks to the test's runtime.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) engine: Arc<Engine>,
    pub(super) door: DoorHandle,
    pub(super) way: Arc<Way>,
    tasks: TaskGroup,
    _dir: tempfile::TempDir,
}

impl World {
    /// A gateway whose replica serves.
    pub(super) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same, over TLS if a configuration is given.
    pub(super) async fn start_with(tls: Option<Arc<ReloadableServer>>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let tasks = TaskGroup::root("test");
        let config = EmbeddedConfig {
            dir: dir.path().to_owned(),
            name: "home".to_owned(),
            client_urls: vec!["http://home.example:2379".to_owned()],
        };
        let home = EmbeddedHome::open(config, &tasks).expect("an empty folder opens");
        let way = Arc::new(Way {
            home,
            cut: AtomicBool::new(false),
            lost: watch::Sender::new(None),
            auth: AtomicBool::new(false),
        });
        let home: Arc<dyn Home> = way.clone();
        let mut config = EngineConfig::new(NODE, "test");
        config.no_leader_after = Duration::from_millis(300);
        config.probe_interval = Duration::from_millis(50);
        let feed = Arc::new(HomeFeed(home.clone()));
        let engine = Engine::start(config, home, feed, &tasks);
        let listener = accept::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let config = DoorConfig {
            listener,
            tls,
            advertise: vec![ADVERTISED.to_owned()],
        };
        let door = serve(config, engine.clone(), &tasks);
        let world = Self {
            address,
            engine,
            door,
            way,
            tasks,
            _dir: dir,
        };
        world.reaches(Mode::Local).await;
        world
    }

    /// Waits for a mode.
    pub(super) async fn reaches(&self, mode: Mode) {
        let reached = async {
            let mut now = self.engine.mode();
            while now != mode {
                now = self.engine.mode_left(now).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached)
            .await
            .expect("the mode is reached");
    }

    /// A new connection.
    pub(super) async fn channel(&self) -> Channel {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", self.address));
        endpoint
            .expect("an address")
            .connect()
            .await
            .expect("the door accepts")
    }

    pub(super) async fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel().await)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// Stops everything in order; the test fails if something had to be aborted.
    pub(super) async fn stop(self) {
        let Self { door, tasks, .. } = self;
        let report = door.drain(PATIENCE).await;
        assert!(report.is_clean(), "{report:?}");
        let report = tasks.stop(PATIENCE).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

pub(super) async fn put(kv: &mut KvClient<Channel>, key: &str, value: &str) -> PutResponse {
    let request = PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..Default::default()
    };
    kv.put(request)
        .await
        .expect("the home takes it")
        .into_inner()
}

pub(super) fn get(key: &str) -> RangeRequest {
    RangeRequest {
        key: key.to_owned().into(),
        ..Default::default()
    }
}

/// Waits for something, but not for ever.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it happens in time")
}

/// The way to the home, which can be cut.
pub(super) struct Way {
    home: Arc<EmbeddedHome>,
    cut: AtomicBool,
    /// Once calls get lost, how many were.
    lost: watch::Sender<Option<usize>>,
    /// Whether the home says that authentication is enabled.
    auth: AtomicBool,
}

impl Way {
    pub(super) fn enable_auth(&self) {
        self.auth.store(true, Ordering::SeqCst);
    }

    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub(super) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    /// From now on calls leave, and nothing ever comes back.
    pub(super) fn lose(&self) {
        self.lost.send_replace(Some(0));
    }

    /// Waits until so many streams were lost.
    pub(super) async fn has_lost(&self, streams: usize) {
        let mut lost = self.lost.subscribe();
        soon(lost.wait_for(|lost| lost.is_some_and(|lost| lost >= streams)))
            .await
            .expect("the way is there");
    }

    fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }

    fn check(&self) -> Result<(), CallError> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(CallError::new(
                Code::Unavailable,
                "the way is cut",
                Fate::NotSent,
            ));
        }
        Ok(())
    }
}

#[async_trait]
impl Home for Way {
    fn describe(&self) -> Description {
        self.home.describe()
    }

    async fn unary(&self, call: Call) -> Result<Reply, CallError> {
        self.check()?;
        self.home.unary(call).await
    }

    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        self.check()?;
        if self.is_lost() {
            self.lost
                .send_modify(|lost| *lost = lost.map(|lost| lost + 1));
            std::future::pending::<()>().await;
        }
        self.home.stream(call).await
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        self.check()?;
        self.home.read_index().await
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        self.check()?;
        self.home.snapshot().await
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        self.check()?;
        self.home.follow(from).await
    }

    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        self.check()?;
        self.home.follow_range(range, from).await
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        self.check()?;
        Ok(self.auth.load(Ordering::SeqCst))
    }
}
