//! A home whose log does as a test tells it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use meridian_home::{
    Call, CallError, Commits, Description, Facts, Fate, FollowError, Home, RangeChanges, Replies,
    Reply, Snapshot, StreamCall,
};
use meridian_keyspace::{Commit, KeyRange, Revision};
use parking_lot::Mutex;
use tokio::sync::watch;
use tonic::Code;

use super::log::{commit, rev};

/// What is wrong with one opening of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This revision is left out.
    Gap(i64),
    /// Each delivery begins with what came last.
    Repeats,
    /// It breaks off behind this revision.
    Breaks(i64),
    /// It ends, without an error, behind this revision.
    Ends(i64),
    /// It brings nothing.
    Silent,
    /// It never opens.
    Hangs,
}

/// A home of which only the log is there.
pub(crate) struct LogHome {
    me: Weak<Self>,
    /// By revision, from [`LogHome::first`] on.
    commits: Mutex<Vec<Commit>>,
    first: AtomicI64,
    head: watch::Sender<i64>,
    pub(crate) cluster: AtomicU64,
    compacted: AtomicI64,
    faults: Mutex<VecDeque<Fault>>,
    /// How often the log was opened.
    pub(crate) opened: AtomicUsize,
}

impl LogHome {
    /// One that stands at `head`, its history compacted up to there.
    pub(crate) fn new(head: i64) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            commits: Mutex::default(),
            first: AtomicI64::new(head + 1),
            head: watch::Sender::new(head),
            cluster: AtomicU64::new(7),
            compacted: AtomicI64::new(head),
            faults: Mutex::default(),
            opened: AtomicUsize::new(0),
        })
    }

    /// The next openings of the log have these faults.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().extend(faults);
    }

    /// Commits so many revisions.
    pub(crate) fn write(&self, count: i64) {
        for _ in 0..count {
            let next = *self.head.borrow() + 1;
            self.commit(commit(next));
        }
    }

    pub(crate) fn commit(&self, commit: Commit) {
        let revision = commit.revision.get();
        let head = *self.head.borrow();
        assert_eq!(revision, head + 1);
        self.commits.lock().push(commit);
        self.head.send_replace(revision);
    }

    /// History up to `revision` is gone.
    pub(crate) fn compact(&self, revision: i64) {
        self.compacted.store(revision, Ordering::SeqCst);
    }

    /// Becomes another cluster, which stands at `head`.
    pub(crate) fn replace(&self, head: i64) {
        self.commits.lock().clear();
        self.first.store(head + 1, Ordering::SeqCst);
        self.compacted.store(head, Ordering::SeqCst);
        self.cluster.fetch_add(1, Ordering::SeqCst);
        self.head.send_replace(head);
    }

    fn from(&self, due: i64) -> Vec<Commit> {
        let skip = due - self.first.load(Ordering::SeqCst);
        let commits = self.commits.lock();
        commits.iter().skip(skip.max(0) as usize).cloned().collect()
    }

    /// What the log delivers next, and where it goes on.
    async fn deliver(
        self: &Arc<Self>,
        due: i64,
        fault: Option<Fault>,
    ) -> Option<(Result<Vec<Commit>, FollowError>, i64)> {
        let mut head = self.head.subscribe();
        if let Some(Fault::Breaks(after)) = fault
            && due > after
        {
            return Some((Err(broken().into()), due));
        }
        if let Some(Fault::Ends(after)) = fault
            && due > after
        {
            return None;
        }
        if fault == Some(Fault::Silent) {
            return std::future::pending().await;
        }
        head.wait_for(|head| *head >= due).await.unwrap();
        let mut commits = self.from(due);
        match fault {
            Some(Fault::Gap(missing)) => commits.retain(|c| c.revision.get() != missing),
            Some(Fault::Breaks(after) | Fault::Ends(after)) => {
                commits.retain(|commit| commit.revision.get() <= after);
            }
            Some(Fault::Repeats) => commits.splice(0..0, self.from(due - 1)).for_each(drop),
            Some(Fault::Silent | Fault::Hangs) | None => {}
        }
        let next = commits.last().map_or(due, |last| last.revision.get() + 1);
        Some((Ok(commits), next))
    }
}

fn broken() -> CallError {
    CallError::new(Code::Unavailable, "the connection broke", Fate::Unknown)
}

fn not_here() -> CallError {
    CallError::new(Code::Unimplemented, "only the log is here", Fate::Refused)
}

#[async_trait]
impl Home for LogHome {
    fn describe(&self) -> Description {
        Description {
            kind: "scripted",
            replicated: false,
            version: None,
            endpoints: Vec::new(),
        }
    }

    async fn unary(&self, _call: Call) -> Result<Reply, CallError> {
        Err(not_here())
    }

    async fn stream(&self, _call: StreamCall) -> Result<Replies, CallError> {
        Err(not_here())
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        Ok(Facts {
            cluster_id: self.cluster.load(Ordering::SeqCst),
            member_id: 1,
            raft_term: 1,
            revision: rev(*self.head.borrow()),
        })
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        Err(not_here())
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let fault = self.faults.lock().pop_front();
        if fault == Some(Fault::Hangs) {
            return std::future::pending().await;
        }
        let compacted = rev(self.compacted.load(Ordering::SeqCst));
        if from <= compacted {
            return Err(FollowError::Compacted { compacted });
        }
        let home = self.me.upgrade().expect("whoever calls has a reference");
        Ok(
            stream::unfold((home, from.get()), move |(home, due)| async move {
                let (delivered, next) = home.deliver(due, fault).await?;
                Some((delivered, (home, next)))
            })
            .boxed(),
        )
    }

    async fn follow_range(
        &self,
        _range: KeyRange,
        _from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        Err(not_here().into())
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        Ok(false)
    }
}
