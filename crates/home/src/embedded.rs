//! The embedded home: one durable node for development, in this process.
//!
//! Owns [`EmbeddedHome`], which answers etcd's services from a keyspace in memory and a file. Its
//! invariants: an acknowledged write survives the death of the process and of the machine's power,
//! as far as the disk keeps what it has synced; nothing is visible before it is durable. It is not
//! replicated, and says so. It knows no network: calls come as messages from within the process.

mod auth;
mod cluster;
mod disk;
mod election;
mod expiry;
mod hash;
mod head;
mod history;
mod job;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod node;
mod open;
mod pages;
mod published;
mod queue;
mod range_stream;
mod refuse;
mod services;
mod watch;
mod wire;
mod writer;

use std::{path::PathBuf, sync::Arc, time::Instant};

use async_trait::async_trait;
use bytes::Bytes;
use meridian_etcd_api::EtcdError;
use meridian_keyspace::{KeyRange, Revision};
use meridian_runtime::TaskGroup;
use tonic::metadata::MetadataMap;

use self::node::Node;
use crate::{
    Call, CallError, Commits, Description, EndpointStatus, Facts, Fate, FollowError, Home,
    RangeChanges, Replies, Reply, Snapshot, StreamCall,
};

/// How an embedded home is set up.
#[derive(Clone, Debug)]
pub struct EmbeddedConfig {
    /// Where its file is; made if it is not there.
    pub dir: PathBuf,
    /// The name of its one member.
    pub name: String,
    /// Where clients reach it, for the member list.
    pub client_urls: Vec<String>,
}

/// Why an embedded home cannot be opened; each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made, or files in it not be written.
    #[error("cannot write in {}: {source}; choose another directory", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process holds the file.
    #[error(
        "{} is in use by another process; stop that one or choose another directory",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by another release.
    #[error(
        "{} has layout {found}, which this release does not know; use the release that wrote it \
         or choose another directory",
        path.display()
    )]
    Layout {
        /// The file.
        path: PathBuf,
        /// Its layout.
        found: i64,
    },
    /// The file cannot be read.
    #[error(
        "{} cannot be read: {source}; restore it from a copy or choose another directory",
        path.display()
    )]
    Storage {
        /// The file.
        path: PathBuf,
        /// What the store says.
        source: Box<redb::Error>,
    },
    /// Revisions are missing in the file.
    #[error(
        "{} lacks revision {expected} (revision {arrived} comes next); restore it from a copy or \
         choose another directory",
        path.display()
    )]
    Gap {
        /// The file.
        path: PathBuf,
        /// The revision that is missing.
        expected: Revision,
        /// The one that is there instead.
        arrived: Revision,
    },
}

/// One durable node for development.
pub struct EmbeddedHome {
    node: Arc<Node>,
    dir: PathBuf,
}

impl EmbeddedHome {
    /// Opens the home in its directory and starts its tasks: the writer, which ends in order when
    /// `tasks` is stopped, and the expiry of leases, which have their full TTL again. Blocks while
    /// it reads the file.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been started then.
    pub fn open(config: EmbeddedConfig, tasks: &TaskGroup) -> Result<Arc<Self>, OpenError> {
        let EmbeddedConfig {
            dir,
            name,
            client_urls,
        } = config;
        let opened = open::open(&dir)?;
        let node = Arc::new(open::start(opened, name, client_urls, tasks));
        tasks.spawn_permanent("lease expiry", expiry::run(Arc::clone(&node)));
        let facts = node.published.facts();
        tracing::info!(
            dir = %dir.display(),
            revision = %facts.revision,
            keys = node.published.keyspace.read(|keyspace| keyspace.len()),
            "the embedded home is NOT replicated: it is one node for development"
        );
        Ok(Arc::new(Self { node, dir }))
    }
}

#[async_trait]
impl Home for EmbeddedHome {
    fn describe(&self) -> Description {
        let stopped = self.node.jobs.is_closed();
        Description {
            kind: "embedded",
            replicated: false,
            version: Some(maintenance::COMPATIBLE_VERSION.to_owned()),
            endpoints: vec![EndpointStatus {
                url: format!("embedded:{}", self.dir.display()),
                version: Some(maintenance::COMPATIBLE_VERSION.to_owned()),
                healthy: !stopped,
                last_error: stopped.then(|| "the embedded home has stopped".to_owned()),
                warning: Some("not replicated: for development only".to_owned()),
            }],
        }
    }

    async fn unary(&self, call: Call) -> Result<Reply, CallError> {
        let Call {
            method,
            metadata: _,
            message,
            deadline,
        } = call;
        let answer = services::unary(&self.node, method, message);
        let message = match deadline {
            Some(deadline) => until(deadline, answer).await?,
            None => answer.await?,
        };
        Ok(Reply {
            metadata: MetadataMap::new(),
            message,
        })
    }

    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        services::stream(&self.node, call).await
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        if self.node.jobs.is_closed() {
            return Err(refuse::with(EtcdError::STOPPED));
        }
        Ok(self.node.published.facts())
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        history::snapshot(&self.node)
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        history::follow(&self.node, from)
    }

    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        history::follow_range(&self.node, range, from)
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        Ok(false)
    }
}

/// Waits no longer than the client. A write that is under way then has an unknown outcome.
async fn until(
    deadline: Instant,
    answer: impl Future<Output = Result<Bytes, CallError>>,
) -> Result<Bytes, CallError> {
    match tokio::time::timeout_at(deadline.into(), answer).await {
        Ok(answer) => answer,
        Err(_) => Err(CallError::new(
            tonic::Code::DeadlineExceeded,
            "context deadline exceeded",
            Fate::Unknown,
        )),
    }
}

#[cfg(test)]
mod tests;
