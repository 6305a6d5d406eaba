//! The list of running tasks of one tree, and the guard that keeps it true.
//!
//! Invariant: a [`Running`] exists exactly as long as its task's future does, whether that ends,
//! panics or is dropped by an abort; its drop is the only place where a task leaves the list.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{sync::watch, task::AbortHandle};
use tokio_util::sync::CancellationToken;

use super::{Failure, FailureKind, Group};

/// What a task's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Passing,
    /// A failure, unless the group was cancelled.
    Permanent,
}

/// What the whole tree shares.
pub(super) struct Root {
    token: CancellationToken,
    ids: AtomicU64,
    tasks: Mutex<HashMap<u64, Entry>>,
    failure: watch::Sender<Option<Failure>>,
}

struct Entry {
    name: Cow<'static, str>,
    group: Arc<Group>,
    abort: Option<AbortHandle>,
}

impl Entry {
    fn path(&self) -> String {
        format!("{}/{}", self.group.path, self.name)
    }
}

impl Root {
    pub(super) fn new(token: CancellationToken) -> Self {
        let (failure, _) = watch::channel(None);
        Self {
            token,
            ids: AtomicU64::new(0),
            tasks: Mutex::new(HashMap::new()),
            failure,
        }
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
    }

    pub(super) async fn failed(&self) -> Failure {
        let mut failures = self.failure.subscribe();
        let seen = failures.wait_for(Option::is_some).await;
        let seen = seen.expect("the sender lives in self").clone();
        seen.expect("waited for it to be there")
    }

    /// The task may have ended already: then there is nothing to attach to.
    pub(super) fn attach(&self, id: u64, abort: AbortHandle) {
        if let Some(entry) = self.tasks.lock().get_mut(&id) {
            entry.abort = Some(abort);
        }
    }

    /// Aborts every task within `group` and names them.
    pub(super) fn abort(&self, group: &Group) -> Vec<String> {
        let tasks = self.tasks.lock();
        let mut aborted: Vec<(String, Option<AbortHandle>)> = tasks
            .values()
            .filter(|entry| entry.group.is_within(group))
            .map(|entry| (entry.path(), entry.abort.clone()))
            .collect();
        // Aborting may drop a future here and now, which takes this lock again.
        drop(tasks);
        aborted.sort_by(|a, b| a.0.cmp(&b.0));
        for abort in aborted.iter().filter_map(|(_, abort)| abort.as_ref()) {
            abort.abort();
        }
        aborted.into_iter().map(|(path, _)| path).collect()
    }

    /// The tasks within `group`.
    pub(super) fn names(&self, group: &Group) -> Vec<String> {
        let tasks = self.tasks.lock();
        let within = tasks.values().filter(|entry| entry.group.is_within(group));
        let mut names: Vec<String> = within.map(Entry::path).collect();
        names.sort();
        names
    }

    fn fail(&self, failure: Failure) {
        tracing::error!(task = failure.task, "{failure}: stopping the process");
        let handled = self.failure.receiver_count() > 0;
        self.failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(failure);
            is_first
        });
        if !handled {
            self.token.cancel();
        }
    }
}

/// Lives inside a task's future.
pub(super) struct Running {
    id: u64,
    kind: Kind,
    completed: bool,
    group: Arc<Group>,
}

/// Puts a task on the list.
pub(super) fn enlist(group: &Arc<Group>, name: Cow<'static, str>, kind: Kind) -> Running {
    let id = group.root.ids.fetch_add(1, Ordering::Relaxed);
    let entry = Entry {
        name,
        group: group.clone(),
        abort: None,
    };
    group.root.tasks.lock().insert(id, entry);
    for group in group.line() {
        group.at_work.send_modify(|tasks| *tasks += 1);
    }
    Running {
        id,
        kind,
        completed: false,
        group: group.clone(),
    }
}

impl Running {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn completed(&mut self) {
        self.completed = true;
    }

    /// An abort (neither completed nor panicking) is no failure: only a stop aborts.
    fn failure(&self) -> Option<FailureKind> {
        match (self.kind, self.completed) {
            (_, false) if std::thread::panicking() => Some(FailureKind::Panicked),
            (Kind::Permanent, true) if !self.group.token.is_cancelled() => Some(FailureKind::Ended),
            (Kind::Passing | Kind::Permanent, _) => None,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let entry = self.group.root.tasks.lock().remove(&self.id);
        if let (Some(kind), Some(entry)) = (self.failure(), entry) {
            self.group.root.fail(Failure {
                task: entry.path(),
                kind,
            });
        }
        for group in self.group.line() {
            group.at_work.send_modify(|tasks| *tasks -= 1);
        }
    }
}
