//! Tasks: where they start, how they stop, and what happens when one fails.
//!
//! A [`TaskGroup`] is a node of a tree; its tasks and its children's end with it. Invariants: a
//! task is on the root's list from before its first poll until after its drop; once
//! [`TaskGroup::stop`] has returned, no task of the group runs (what would not yield is named in
//! the report). A permanent task that ends early, or any task that panics, is a [`Failure`] of the
//! whole process. It does not know in which order groups stop: the composition root does.

mod running;

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use running::{Kind, Root};

/// What is left of the deadline of [`TaskGroup::stop`] after an abort: a task that yields at all
/// is gone within one poll, so this is generous.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// A handle to a group of tasks; cloning it gives another handle to the same group.
#[derive(Clone)]
pub struct TaskGroup {
    group: Arc<Group>,
}

/// Why the process must stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task {task} {kind}")]
pub struct Failure {
    /// The path of the task, from the root.
    pub task: String,
    /// What it did.
    pub kind: FailureKind,
}

/// What a failed task did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailureKind {
    /// It panicked; the message went where panics go.
    #[error("panicked")]
    Panicked,
    /// It is permanent, and ended without being told to.
    #[error("ended, which it must not before it is told to")]
    Ended,
}

/// How a stop went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopReport {
    /// Tasks that were still at work at the deadline and were aborted, by path.
    pub aborted: Vec<String>,
    /// Of those, the tasks that did not yield even then: they hold a thread.
    pub stuck: Vec<String>,
}

impl StopReport {
    /// Whether every task ended by itself in time.
    pub fn is_clean(&self) -> bool {
        self.aborted.is_empty()
    }
}

/// One node of the tree.
struct Group {
    path: String,
    token: CancellationToken,
    parent: Option<Arc<Group>>,
    root: Arc<Root>,
    /// Tasks at work in this group and below it.
    at_work: watch::Sender<usize>,
    closed: AtomicBool,
}

impl TaskGroup {
    /// The root of a new tree.
    pub fn root(name: impl Into<String>) -> Self {
        let token = CancellationToken::new();
        let root = Arc::new(Root::new(token.clone()));
        Self {
            group: Group::new(name.into(), token, None, root),
        }
    }

    /// A group below this one: it is cancelled with it and can be stopped before it.
    pub fn child(&self, name: impl fmt::Display) -> Self {
        let parent = &self.group;
        let path = format!("{}/{name}", parent.path);
        let token = parent.token.child_token();
        Self {
            group: Group::new(path, token, Some(parent.clone()), parent.root.clone()),
        }
    }

    /// Cancelled when this group is to stop. Tasks watch it; they may also be dropped later.
    pub fn token(&self) -> CancellationToken {
        self.group.token.clone()
    }

    /// Starts a task that may end at any time. A group that has stopped drops it unstarted.
    pub fn spawn(
        &self,
        name: impl Into<Cow<'static, str>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.start(name.into(), Kind::Passing, task);
    }

    /// Starts a task that must run until the group's token is cancelled: ending earlier is a
    /// [`Failure`].
    pub fn spawn_permanent(
        &self,
        name: impl Into<Cow<'static, str>>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.start(name.into(), Kind::Permanent, task);
    }

    /// Tasks at work in this group and below it.
    pub fn at_work(&self) -> usize {
        *self.group.at_work.borrow()
    }

    /// Waits for the first failure anywhere in the tree. Whoever waits here stops the groups in
    /// order; if nobody does, a failure cancels the root's token by itself. Cancel-safe.
    pub async fn failed(&self) -> Failure {
        self.group.root.failed().await
    }

    /// The first failure, if there was one.
    pub fn failure(&self) -> Option<Failure> {
        self.group.root.failure()
    }

    /// Stops the group and everything below it: cancels the token, lets the tasks end until
    /// `deadline` from now, aborts the rest. Never called from a task of the group itself.
    pub async fn stop(self, deadline: Duration) -> StopReport {
        let group = &self.group;
        group.token.cancel();
        let ended = group.ended_within(deadline).await;
        group.closed.store(true, Ordering::SeqCst);
        if ended {
            return StopReport::default();
        }
        let aborted = group.root.abort(group);
        if group.ended_within(ABORT_GRACE).await {
            return StopReport {
                aborted,
                stuck: Vec::new(),
            };
        }
        let stuck = group.root.names(group);
        StopReport { aborted, stuck }
    }

    fn start(
        &self,
        name: Cow<'static, str>,
        kind: Kind,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        if self.group.is_closed() {
            tracing::debug!(group = self.group.path, task = %name, "stopped, not starting it");
            return;
        }
        let path = format!("{}/{name}", self.group.path);
        // A span costs its entering and leaving at each poll. Passing tasks, of which every
        // connection is one, have theirs only where somebody debugs.
        let span = match kind {
            Kind::Permanent => tracing::info_span!("task", path),
            Kind::Passing => tracing::debug_span!("task", path),
        };
        let running = running::enlist(&self.group, name, kind);
        let id = running.id();
        let body = async move {
            // Declared first, so dropped last: the task is off the list only after its own drop.
            let mut running = running;
            task.await;
            running.completed();
        };
        let handle = tokio::spawn(body.instrument(span));
        self.group.root.attach(id, handle.abort_handle());
    }
}

impl fmt::Debug for TaskGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TaskGroup({}, {} at work)",
            self.group.path,
            self.at_work()
        )
    }
}

impl Group {
    fn new(
        path: String,
        token: CancellationToken,
        parent: Option<Arc<Group>>,
        root: Arc<Root>,
    ) -> Arc<Self> {
        let (at_work, _) = watch::channel(0);
        Arc::new(Self {
            path,
            token,
            parent,
            root,
            at_work,
            closed: AtomicBool::new(false),
        })
    }

    /// This group and those above it.
    fn line(&self) -> impl Iterator<Item = &Group> {
        std::iter::successors(Some(self), |group| group.parent.as_deref())
    }

    fn is_closed(&self) -> bool {
        self.line().any(|group| group.closed.load(Ordering::SeqCst))
    }

    fn is_within(&self, ancestor: &Group) -> bool {
        self.line().any(|group| std::ptr::eq(group, ancestor))
    }

    async fn ended_within(&self, limit: Duration) -> bool {
        let mut at_work = self.at_work.subscribe();
        // The sender lives in `self`, so the channel cannot close while we wait.
        tokio::time::timeout(limit, at_work.wait_for(|tasks| *tasks == 0))
            .await
            .is_ok()
    }
}

#[cfg(test)]
mod tests;
