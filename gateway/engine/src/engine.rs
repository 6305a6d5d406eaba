//! The engine as doors hold it: its parts, its life, and the calls that go home.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use meridian_home::{Call, CallError, Facts, Home, Replies, Reply, StreamCall};
use meridian_keyspace::{Revision, SharedKeyspace, WindowLimits};
use meridian_revlog::Feed;
use meridian_runtime::{Level as ReachedLevel, TaskGroup};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use crate::{
    freshness::Freshness,
    keepalive::KeepAlives,
    metrics,
    probe::{Probe, Probes},
    replica,
    status::Leadership,
    watch::WatchHub,
};

/// Watches that the home serves at once because local history is too short for them: each is one
/// stream there.
const OLD_WATCHES_MAX: usize = 64;

/// What an engine is told by configuration.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The node's name; its member id in headers is derived from it.
    pub node: String,
    /// The region it stands in.
    pub region: String,
    /// How much history the replica keeps.
    pub history: WindowLimits,
    /// How often the home's revision is asked for at rest; bounds the staleness that an idle
    /// replica can show.
    pub probe_interval: Duration,
    /// How long the home may go without answering before it counts as having no leader.
    pub no_leader_after: Duration,
    /// How often a quiet watcher that asked for progress is told.
    pub progress_interval: Duration,
}

impl EngineConfig {
    /// The defaults for a node: 256 MiB or a million revisions of history, a probe every 100 ms,
    /// no leader after 3 s, progress every 10 minutes (etcd's own interval).
    pub fn new(node: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            region: region.into(),
            history: WindowLimits {
                bytes: 256 << 20,
                revisions: 1_000_000,
            },
            probe_interval: Duration::from_millis(100),
            no_leader_after: Duration::from_secs(3),
            progress_interval: Duration::from_secs(600),
        }
    }
}

/// Where calls may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The replica is not complete: linearizable calls go home, others wait or fail.
    Starting,
    /// The replica serves.
    Local,
    /// Authentication is enabled on the home: every call goes there.
    Forwarding,
}

/// The engine of one gateway.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) home: Arc<dyn Home>,
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) tasks: TaskGroup,
    /// The complete replica, and none before the first is.
    pub(crate) replica: ArcSwapOption<SharedKeyspace>,
    /// The replica's revision, for waiting; another level when the home is another.
    pub(crate) reached: ArcSwap<ReachedLevel>,
    pub(crate) mode: watch::Sender<Mode>,
    pub(crate) probes: Probes,
    pub(crate) freshness: Mutex<Freshness>,
    /// `Freshness::as_of` as nanoseconds since `origin`, plus one; zero for never. Read on every
    /// local answer.
    fresh_as_of: AtomicU64,
    origin: Instant,
    pub(crate) leadership: Leadership,
    pub(crate) watches: WatchHub,
    /// Places for watches from before local history, which the home serves meanwhile.
    pub(crate) old_watches: Semaphore,
    keepalives: KeepAlives,
    cluster_id: AtomicU64,
    member_id: u64,
    raft_term: AtomicU64,
    /// Raised when a client changes authentication, so that an answer asked for before it is void.
    pub(crate) auth_generation: AtomicU64,
    pub(crate) replica_installed: Notify,
    /// How often the home turned out to be another cluster, or to have gone back in time.
    pub(crate) home_replaced: watch::Sender<u64>,
    regress: Mutex<Regress>,
    /// `mode` as a number, for the hot path: whether it is [`Mode::Local`].
    local: AtomicBool,
    /// The newest compaction that clients made through this gateway.
    pub(crate) compacted: AtomicI64,
}

impl Engine {
    /// Starts an engine; it bootstraps in the background.
    pub fn start(
        config: EngineConfig,
        home: Arc<dyn Home>,
        feed: Arc<dyn Feed>,
        tasks: &TaskGroup,
    ) -> Arc<Self> {
        let tasks = tasks.child("engine");
        let engine = Arc::new(Self {
            member_id: member_id_of(&config.node),
            keepalives: KeepAlives::new(Arc::clone(&home), &tasks),
            watches: WatchHub::new(config.progress_interval),
            old_watches: Semaphore::new(OLD_WATCHES_MAX),
            config,
            home,
            feed,
            replica: ArcSwapOption::empty(),
            reached: ArcSwap::from_pointee(ReachedLevel::new(0)),
            mode: watch::Sender::new(Mode::Starting),
            probes: Probes::new(),
            freshness: Mutex::new(Freshness::default()),
            fresh_as_of: AtomicU64::new(0),
            origin: Instant::now(),
            leadership: Leadership::new(),
            cluster_id: AtomicU64::new(0),
            raft_term: AtomicU64::new(0),
            auth_generation: AtomicU64::new(0),
            replica_installed: Notify::new(),
            home_replaced: watch::Sender::new(0),
            regress: Mutex::default(),
            local: AtomicBool::new(false),
            compacted: AtomicI64::new(0),
            tasks: tasks.clone(),
        });
        tasks.spawn_permanent("replica", replica::run(Arc::clone(&engine)));
        tasks.spawn_permanent("probes", run_probes(Arc::clone(&engine)));
        engine
    }

    /// The node's name.
    pub fn node(&self) -> &str {
        &self.config.node
    }

    /// The region the node stands in.
    pub fn region(&self) -> &str {
        &self.config.region
    }

    /// The home that calls go to.
    pub fn home(&self) -> &Arc<dyn Home> {
        &self.home
    }

    /// The complete replica, none before the first is: what joiners of a relay are served from.
    pub fn replica(&self) -> Option<Arc<SharedKeyspace>> {
        self.replica.load_full()
    }

    /// Counts how often the home turned out to be another cluster, or to have gone back in time:
    /// what the log held until then is not of this home.
    pub fn home_replaced(&self) -> watch::Receiver<u64> {
        self.home_replaced.subscribe()
    }

    /// What a response header says now: the home cluster's id, this gateway's member id, the
    /// newest raft term seen, the replica's revision.
    pub fn facts(&self) -> Facts {
        Facts {
            cluster_id: self.cluster_id.load(Ordering::Relaxed),
            member_id: self.member_id,
            raft_term: self.raft_term.load(Ordering::Relaxed),
            revision: self.revision(),
        }
    }

    /// The replica's revision; zero before it is complete.
    pub fn revision(&self) -> Revision {
        Revision::new(self.reached.load().get())
    }

    /// Where calls may be answered now.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Waits until the mode is another than `mode`.
    pub async fn mode_left(&self, mode: Mode) -> Mode {
        let mut changes = self.mode.subscribe();
        match changes.wait_for(|now| *now != mode).await {
            Ok(now) => *now,
            Err(_) => mode,
        }
    }

    /// The keepalive streams to the home.
    pub fn keepalives(&self) -> &KeepAlives {
        &self.keepalives
    }

    /// The watches served here.
    pub fn watches(self: &Arc<Self>) -> crate::watch::Watches {
        crate::watch::Watches::of(self)
    }

    /// Whether the home has answered a linearizable call lately enough to count as having a leader.
    pub fn has_leader(&self) -> bool {
        self.leadership.present(self.config.no_leader_after)
    }

    /// Waits until the home counts as having no leader.
    pub async fn leader_lost(&self) {
        self.leadership.lost(self.config.no_leader_after).await;
    }

    /// Carries a unary call home.
    ///
    /// # Errors
    /// As [`Home::unary`].
    pub async fn forward(&self, call: Call) -> Result<Reply, CallError> {
        self.home.unary(call).await
    }

    /// Carries a streaming call home.
    ///
    /// # Errors
    /// As [`Home::stream`].
    pub async fn forward_stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        self.home.stream(call).await
    }

    /// A client compacted the home up to `revision` through this gateway: older reads here now
    /// answer as the home would.
    pub fn note_compaction(&self, revision: Revision) {
        self.compacted.fetch_max(revision.get(), Ordering::SeqCst);
        if let Some(keyspace) = self.replica.load_full() {
            keyspace.compact(revision.min(keyspace.revision()));
        }
    }

    /// A client enabled or disabled authentication on the home through this gateway.
    pub fn note_auth_changed(&self) {
        // Until the home says otherwise, nothing is shown from the replica.
        self.forward_all();
    }

    /// Shows nothing from the replica until an answer of the home, asked for after this call,
    /// says that authentication is off.
    pub(crate) fn forward_all(&self) {
        self.auth_generation.fetch_add(1, Ordering::SeqCst);
        self.set_mode(|_| Some(Mode::Forwarding));
    }

    /// Takes in what the home said of authentication, unless that was asked for before the last
    /// reason to doubt it.
    pub(crate) fn auth_is(&self, enabled: bool, asked_in: u64) {
        self.set_mode(|_| {
            let current = self.auth_generation.load(Ordering::SeqCst) == asked_in;
            current.then(|| match (enabled, self.replica.load().is_some()) {
                (true, _) => Mode::Forwarding,
                (false, true) => Mode::Local,
                (false, false) => Mode::Starting,
            })
        });
    }

    /// How long ago the replica was surely current; none before the first probe was applied.
    pub fn staleness(&self) -> Option<Duration> {
        match self.fresh_as_of.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(
                self.origin
                    .elapsed()
                    .saturating_sub(Duration::from_nanos(nanos - 1)),
            ),
        }
    }

    /// Whether the replica is surely fresh as of `instant`.
    pub(crate) fn fresh_since(&self, instant: Instant) -> bool {
        let wanted = instant.saturating_duration_since(self.origin).as_nanos() as u64 + 1;
        // Pairs with `publish_freshness`: whoever sees it sees the replica that it speaks of.
        let known = self.fresh_as_of.load(Ordering::Acquire);
        known != 0 && known >= wanted
    }

    /// Publishes what the freshness machine knows.
    pub(crate) fn publish_freshness(&self, freshness: &Freshness) {
        if let Some(as_of) = freshness.as_of() {
            let nanos = as_of.saturating_duration_since(self.origin).as_nanos() as u64 + 1;
            self.fresh_as_of.fetch_max(nanos, Ordering::Release);
        }
    }

    /// Forgets how far and how fresh the replica was: the next is of another home.
    pub(crate) fn begin_anew(&self) {
        let mut freshness = self.freshness.lock();
        *freshness = Freshness::default();
        self.fresh_as_of.store(0, Ordering::Release);
        self.reached.store(Arc::new(ReachedLevel::new(0)));
        self.compacted.store(0, Ordering::SeqCst);
    }

    /// Changes the mode to what `judge` says, if that differs. `judge` runs under the mode's lock,
    /// so that nothing it has looked at is overtaken by another change of the mode.
    fn set_mode(&self, judge: impl FnOnce(Mode) -> Option<Mode>) {
        self.mode.send_if_modified(|now| {
            let mode = judge(*now).unwrap_or(*now);
            let changed = *now != mode;
            if changed {
                tracing::info!(from = ?*now, to = ?mode, "gateway mode changed");
                *now = mode;
                self.local.store(mode == Mode::Local, Ordering::SeqCst);
            }
            changed
        });
    }

    /// Whether the mode is [`Mode::Local`].
    #[inline]
    pub(crate) fn serves_locally(&self) -> bool {
        self.local.load(Ordering::SeqCst)
    }

    /// Takes in who answered a probe; a home that is another cluster, or that has gone back
    /// behind the replica for good, has the replica rebuilt.
    fn note_probe(&self, probe: &Probe) {
        let facts = &probe.facts;
        let known = self.cluster_id.swap(facts.cluster_id, Ordering::Relaxed);
        self.raft_term.fetch_max(facts.raft_term, Ordering::Relaxed);
        let replaced = known != 0 && known != facts.cluster_id;
        let replica = self.replica.load();
        let regressed = match &*replica {
            Some(replica) => {
                let mut regress = self.regress.lock();
                regress.judge(Instant::now(), probe, replica.revision())
            }
            None => false,
        };
        if replaced || regressed {
            tracing::error!(
                replica = %self.revision(), home = %facts.revision,
                cluster = format!("{:x}", facts.cluster_id), cluster_before = format!("{known:x}"),
                "the home is another cluster or went back in time; check what was restored there"
            );
            self.forget_replica();
        }
    }

    /// Shows nothing of the home that was: the replica is built anew.
    fn forget_replica(&self) {
        let mut regress = self.regress.lock();
        *regress = Regress::default();
        self.home_replaced.send_modify(|times| *times += 1);
        self.replica.store(None);
        self.set_mode(|now| (now == Mode::Local).then_some(Mode::Starting));
    }

    /// Puts a replica in place whose snapshot began after the home was replaced `times`; false if
    /// it was again meanwhile.
    pub(crate) fn install(&self, replica: &Arc<SharedKeyspace>, times: u64) -> bool {
        let _forgetting = self.regress.lock();
        let of_this_home = *self.home_replaced.borrow() == times;
        if of_this_home {
            self.replica.store(Some(Arc::clone(replica)));
        }
        of_this_home
    }
}

/// Tells a home that went back in time from one answer that is merely odd (etcd issue 20418: a
/// paused member may answer old revisions for a moment).
#[derive(Debug, Default)]
struct Regress {
    /// The replica's revision at some moment before the last probes left.
    before: Option<(Instant, Revision)>,
    in_a_row: u32,
    /// When the first of these was judged.
    since: Option<Instant>,
}

impl Regress {
    /// Probes in a row, from different moments, that must be behind the replica.
    const ENOUGH: u32 = 8;

    /// And for how long: beside the home eight probes are over in milliseconds, while a member
    /// that was paused takes up to an election time-out (1 s by default) to notice.
    const LONG_ENOUGH: Duration = Duration::from_secs(2);

    fn judge(&mut self, now: Instant, probe: &Probe, replica: Revision) -> bool {
        let Some((at, revision)) = self.before.filter(|(at, _)| *at < probe.sent) else {
            self.before.get_or_insert((now, replica));
            return false;
        };
        debug_assert!(at < now);
        self.before = Some((now, replica));
        if probe.facts.revision >= revision {
            (self.in_a_row, self.since) = (0, None);
            return false;
        }
        self.in_a_row += 1;
        let since = *self.since.get_or_insert(now);
        self.in_a_row >= Self::ENOUGH && now - since >= Self::LONG_ENOUGH
    }
}

/// The member id of a gateway: FNV-1a of its name, never zero.
fn member_id_of(node: &str) -> u64 {
    let hash = node.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.max(1)
}

/// Keeps probing, and draws from each outcome what it says of the home.
async fn run_probes(engine: Arc<Engine>) {
    let stop = engine.tasks.token();
    let probing = engine.probes.run(
        engine.home.as_ref(),
        engine.config.probe_interval,
        &stop,
        |outcome, took| match outcome {
            Ok(probe) => {
                metrics::probe_answered(took);
                engine.note_probe(probe);
                engine.leadership.confirmed();
                let mut freshness = engine.freshness.lock();
                freshness.answered(probe.sent, probe.facts.revision);
                engine.publish_freshness(&freshness);
            }
            Err(error) => {
                metrics::probe_failed();
                engine.leadership.failed(error);
                if error.means_auth_required() {
                    engine.forward_all();
                }
            }
        },
    );
    probing.await;
}

#[cfg(test)]
mod tests;
