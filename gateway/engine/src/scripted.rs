//! A home under a test's hand: a real keyspace that commits what it is told, and faults on demand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use meridian_home::{
    Call, CallError, Commits, Description, Facts, Fate, FollowError, Home, RangeChanges,
    RangeProgress, Replies, Reply, Snapshot, StreamCall,
    keepalive::{self, Renewal},
};
use meridian_keyspace::{
    Change, Commit, KeyRange, Keyspace, Record, Revision, SharedKeyspace, WindowLimits,
    record::Fields,
};
use meridian_runtime::TaskGroup;
use tokio::sync::watch;
use tonic::{Code, metadata::MetadataMap};

use crate::{Engine, EngineConfig, HomeFeed, Mode};

pub(crate) struct ScriptedHome {
    pub(crate) keyspace: SharedKeyspace,
    revision: watch::Sender<i64>,
    up: watch::Sender<bool>,
    pub(crate) auth: AtomicBool,
    /// The member that is asked lags: it says that authentication is off.
    pub(crate) auth_hidden: AtomicBool,
    pub(crate) auth_asked: AtomicU64,
    pub(crate) cluster_id: AtomicU64,
    pub(crate) probes: AtomicU64,
    pub(crate) streams: AtomicU64,
    pub(crate) renewals: AtomicU64,
    /// Logs opened, and the last of them that has fallen silent.
    pub(crate) logs: AtomicU64,
    pub(crate) logs_silent: AtomicU64,
    /// Old watches opened, and whether they end at once.
    pub(crate) old_watches: AtomicU64,
    pub(crate) old_watches_end: AtomicBool,
    pub(crate) probe_delay: Duration,
    /// Commits to leave out of the log once, to make a gap.
    pub(crate) skip_once: AtomicU64,
}

impl ScriptedHome {
    pub(crate) fn new() -> Arc<Self> {
        Self::slow(Duration::ZERO)
    }

    pub(crate) fn slow(probe_delay: Duration) -> Arc<Self> {
        let keyspace = SharedKeyspace::new(Keyspace::new(WindowLimits::UNLIMITED));
        let revision = watch::Sender::new(keyspace.revision().get());
        Arc::new(Self {
            keyspace,
            revision,
            up: watch::Sender::new(true),
            auth: AtomicBool::new(false),
            auth_hidden: AtomicBool::new(false),
            auth_asked: AtomicU64::new(0),
            cluster_id: AtomicU64::new(7),
            probes: AtomicU64::new(0),
            streams: AtomicU64::new(0),
            renewals: AtomicU64::new(0),
            logs: AtomicU64::new(0),
            logs_silent: AtomicU64::new(0),
            old_watches: AtomicU64::new(0),
            old_watches_end: AtomicBool::new(false),
            probe_delay,
            skip_once: AtomicU64::new(0),
        })
    }

    /// Commits one revision that puts these keys with these values; an empty value deletes.
    pub(crate) fn commit(&self, writes: &[(&str, &str)]) -> Revision {
        let revision = self.keyspace.revision().next();
        let records = writes
            .iter()
            .map(|(key, value)| match value.is_empty() {
                true => Record::tombstone(key.as_bytes(), revision),
                false => self.next_record(key.as_bytes(), value.as_bytes(), revision),
            })
            .collect();
        self.keyspace.apply(Commit { revision, records }).unwrap();
        self.revision.send_replace(revision.get());
        revision
    }

    fn next_record(&self, key: &[u8], value: &[u8], revision: Revision) -> Record {
        self.keyspace.read(|k| {
            let old = k.get(key).map(|record| record.fields());
            Record::new(Fields {
                key,
                value,
                create_revision: old.map_or(revision, |f| f.create_revision),
                mod_revision: revision,
                version: old.map_or(1, |f| f.version + 1),
                ..Fields::default()
            })
        })
    }

    pub(crate) fn set_up(&self, up: bool) {
        self.up.send_replace(up);
    }

    /// Becomes another cluster, empty and at revision 1.
    pub(crate) fn replace(&self) {
        self.keyspace
            .write(|k| *k = Keyspace::new(WindowLimits::UNLIMITED));
        self.revision.send_replace(1);
        self.cluster_id.fetch_add(1, Ordering::SeqCst);
    }

    fn check_up(&self) -> Result<(), CallError> {
        if *self.up.borrow() {
            Ok(())
        } else {
            Err(down())
        }
    }

    fn facts(&self) -> Facts {
        let revision = self.keyspace.revision();
        Facts {
            cluster_id: self.cluster_id.load(Ordering::SeqCst),
            member_id: 9,
            raft_term: 3,
            revision,
        }
    }

    /// The next changes from `from` on, when there are any.
    async fn changes(self: &Arc<Self>, from: Revision) -> Result<Vec<Arc<Change>>, FollowError> {
        let (mut revision, mut up) = (self.revision.subscribe(), self.up.subscribe());
        tokio::select! {
            _ = revision.wait_for(|now| *now >= from.get()) => {}
            _ = up.wait_for(|up| !*up) => {}
        }
        self.check_up()?;
        self.keyspace.read(|k| {
            if from < k.compacted() {
                return Err(FollowError::Compacted {
                    compacted: k.compacted(),
                });
            }
            Ok(k.changes(from).take(100).cloned().collect())
        })
    }
}

fn down() -> CallError {
    CallError::new(
        Code::Unavailable,
        "there is no connection available",
        Fate::NotSent,
    )
}

/// The scripted home as the trait, shareable with its streams.
pub(crate) struct Handle(pub(crate) Arc<ScriptedHome>);

#[async_trait]
impl Home for Handle {
    fn describe(&self) -> Description {
        Description {
            kind: "scripted",
            replicated: false,
            version: None,
            endpoints: Vec::new(),
        }
    }

    async fn unary(&self, _: Call) -> Result<Reply, CallError> {
        Err(down())
    }

    /// Keepalives alone: each lease is answered with its own id as TTL, until the home is down.
    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        self.0.check_up()?;
        self.0.streams.fetch_add(1, Ordering::SeqCst);
        let home = Arc::clone(&self.0);
        let messages = call.requests.map(move |request| {
            home.check_up()?;
            home.renewals.fetch_add(1, Ordering::SeqCst);
            let lease = keepalive::lease_of(&request)?;
            let facts = Facts {
                cluster_id: 7,
                ..Facts::default()
            };
            Ok(keepalive::answer(&Renewal {
                lease,
                ttl: lease.get(),
                facts,
            }))
        });
        Ok(Replies {
            metadata: MetadataMap::new(),
            messages: Box::pin(messages),
        })
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        self.0.probes.fetch_add(1, Ordering::SeqCst);
        self.0.check_up()?;
        if self.0.auth.load(Ordering::SeqCst) {
            let text = "etcdserver: user name is empty";
            return Err(CallError::new(Code::InvalidArgument, text, Fate::Refused));
        }
        tokio::time::sleep(self.0.probe_delay / 2).await;
        let facts = self.0.facts();
        tokio::time::sleep(self.0.probe_delay / 2).await;
        Ok(facts)
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        self.0.check_up()?;
        let mut records = Vec::new();
        let facts = self.0.keyspace.read(|k| {
            let query = meridian_keyspace::RangeQuery::of(meridian_keyspace::KeySpan::ALL);
            k.range(&query, &mut |record| records.push(record.clone()))
                .unwrap();
            Facts {
                revision: k.revision(),
                ..Facts::default()
            }
        });
        let keys_total = records.len() as u64;
        Ok(Snapshot {
            facts,
            keys_total,
            pages: stream::iter([Ok(records)]).boxed(),
        })
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        self.0.check_up()?;
        let home = Arc::clone(&self.0);
        let log = 1 + home.logs.fetch_add(1, Ordering::SeqCst);
        Ok(
            stream::try_unfold((home, from), move |(home, from)| async move {
                let changes = home.changes(from).await?;
                if log <= home.logs_silent.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let next = changes.last().map_or(from, |c| c.revision.next());
                let skip = home.skip_once.swap(0, Ordering::SeqCst) as usize;
                let commits = changes.iter().skip(skip).map(|change| Commit {
                    revision: change.revision,
                    records: change.events.iter().map(|e| e.record.clone()).collect(),
                });
                Ok(Some((commits.collect(), (home, next))))
            })
            .boxed(),
        )
    }

    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        self.0.check_up()?;
        self.0.old_watches.fetch_add(1, Ordering::SeqCst);
        if self.0.old_watches_end.load(Ordering::SeqCst) {
            return Ok(stream::empty().boxed());
        }
        let state = (Arc::clone(&self.0), range, from);
        Ok(stream::try_unfold(state, |(home, range, from)| async move {
            let changes = home.changes(from).await?;
            let complete_to = changes.last().map_or(from.previous(), |c| c.revision);
            let changes = changes
                .iter()
                .filter(|c| c.events.iter().any(|e| range.contains(e.record.key())))
                .map(|c| Change::clone(c))
                .collect();
            let step = RangeProgress {
                changes,
                complete_to,
            };
            Ok(Some((step, (home, range, complete_to.next()))))
        })
        .boxed())
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        self.0.check_up()?;
        self.0.auth_asked.fetch_add(1, Ordering::SeqCst);
        let hidden = self.0.auth_hidden.load(Ordering::SeqCst);
        Ok(self.0.auth.load(Ordering::SeqCst) && !hidden)
    }
}

/// An engine over a scripted home, its replica complete.
pub(crate) async fn engine_over(
    home: &Arc<ScriptedHome>,
    change: impl FnOnce(&mut EngineConfig),
) -> (Arc<Engine>, TaskGroup) {
    let (engine, tasks) = start_over(home, change);
    eventually("the replica is complete", || engine.mode() == Mode::Local).await;
    (engine, tasks)
}

/// An engine over a scripted home, just started.
pub(crate) fn start_over(
    home: &Arc<ScriptedHome>,
    change: impl FnOnce(&mut EngineConfig),
) -> (Arc<Engine>, TaskGroup) {
    let tasks = TaskGroup::root("test");
    let mut config = EngineConfig::new("node", "region");
    change(&mut config);
    let handle: Arc<dyn Home> = Arc::new(Handle(Arc::clone(home)));
    let feed = Arc::new(HomeFeed(Arc::clone(&handle)));
    (Engine::start(config, handle, feed, &tasks), tasks)
}

/// Waits until `holds`, checking at each turn of the runtime, for ten seconds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    assert!(waited.await.is_ok(), "never came true: {what}");
}
