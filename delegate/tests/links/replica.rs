//! A replica that drinks a feed as the engine does, and panics at a gap.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use meridian_delegate::ReplicaSource;
use meridian_keyspace::{Keyspace, Revision, SharedKeyspace, WindowLimits};
use meridian_revlog::{Continuity, Feed, FeedError, Verdict};
use meridian_runtime::{Backoff, TaskGroup};
use parking_lot::Mutex;
use tokio::sync::watch;

pub(crate) struct Replica {
    feed: Arc<dyn Feed>,
    limits: WindowLimits,
    current: Mutex<Option<Arc<SharedKeyspace>>>,
    revision: watch::Sender<Revision>,
    snapshots: AtomicUsize,
    rebuilt: AtomicUsize,
}

impl Replica {
    pub(crate) fn start(feed: Arc<dyn Feed>, limits: WindowLimits, tasks: &TaskGroup) -> Arc<Self> {
        let replica = Arc::new(Self {
            feed,
            limits,
            current: Mutex::new(None),
            revision: watch::Sender::new(Revision::ZERO),
            snapshots: AtomicUsize::new(0),
            rebuilt: AtomicUsize::new(0),
        });
        let (running, stop) = (Arc::clone(&replica), tasks.token());
        tasks.spawn("replica", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = running.run() => {}
            }
        });
        replica
    }

    /// How often it had to begin from a snapshot again.
    pub(crate) fn rebuilt(&self) -> usize {
        self.rebuilt.load(Ordering::SeqCst)
    }

    /// How often a snapshot was asked for and begun.
    pub(crate) fn snapshots(&self) -> usize {
        self.snapshots.load(Ordering::SeqCst)
    }

    pub(crate) fn is_there(&self) -> bool {
        self.current.lock().is_some()
    }

    pub(crate) async fn reaches(&self, revision: Revision) {
        let mut now = self.revision.subscribe();
        let reached = now.wait_for(|now| *now >= revision);
        let reached = tokio::time::timeout(super::world::SOON, reached).await;
        assert!(
            reached.is_ok(),
            "at {}, not at {revision}",
            *self.revision.borrow()
        );
    }

    async fn run(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(25), Duration::from_millis(500));
        loop {
            if self.live(&mut backoff).await.is_ok() {
                self.rebuilt.fetch_add(1, Ordering::SeqCst);
            }
            backoff.pause().await;
        }
    }

    /// From a snapshot until the log cannot be gone on with.
    async fn live(&self, backoff: &mut Backoff) -> Result<(), FeedError> {
        let mut snapshot = self.feed.snapshot().await?;
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        let mut records = Vec::new();
        while let Some(page) = snapshot.pages.next().await {
            records.extend(page?);
        }
        assert_eq!(records.len() as u64, snapshot.keys_total);
        assert!(records.is_sorted_by(|a, b| a.key() < b.key()));
        let keyspace = Keyspace::restore(self.limits, snapshot.revision, records);
        let keyspace = Arc::new(SharedKeyspace::new(keyspace));
        *self.current.lock() = Some(Arc::clone(&keyspace));
        self.revision.send_replace(snapshot.revision);
        let mut continuity = Continuity::at(snapshot.revision);
        loop {
            match self.follow(&keyspace, &mut continuity, backoff).await {
                FeedError::Compacted { .. } => return Ok(()),
                FeedError::Denied(_) | FeedError::Unavailable(_) => backoff.pause().await,
            }
        }
    }

    async fn follow(
        &self,
        keyspace: &SharedKeyspace,
        continuity: &mut Continuity,
        backoff: &mut Backoff,
    ) -> FeedError {
        let mut commits = match self.feed.follow(continuity.expected()).await {
            Ok(commits) => commits,
            Err(error) => return error,
        };
        loop {
            let batch = match commits.next().await {
                Some(Ok(batch)) => batch,
                Some(Err(error)) => return error,
                None => return FeedError::Unavailable("the log ended".to_owned()),
            };
            for commit in batch {
                // A feed repeats nothing and leaves nothing out.
                assert_eq!(continuity.admit(commit.revision), Ok(Verdict::Next));
                let revision = commit.revision;
                keyspace.apply(commit).unwrap();
                self.revision.send_replace(revision);
            }
            backoff.reset();
        }
    }
}

impl ReplicaSource for Replica {
    fn replica(&self) -> Option<Arc<SharedKeyspace>> {
        self.current.lock().clone()
    }
}
