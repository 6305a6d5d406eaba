//! One call, whatever carried it: gRPC or JSON.
//!
//! Owns what handlers see of a call and of its connection. Invariant: a connection's floor is at
//! least every revision that an answer on it has shown, so a serializable read never goes back.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::HeaderMap;
use meridian_engine::Engine;
use meridian_etcd_api::{EtcdError, Method};
use meridian_home::Facts;
use meridian_keyspace::Revision;
use meridian_runtime::TaskGroup;
use tokio_util::sync::CancellationToken;

use crate::{
    failure::Failure,
    metadata::{LeaderWanted, ReadTerms, Terms},
    metrics::Meters,
};

/// One call in so many is timed: a clock read and a histogram cost more than a cached get does.
const TIMED_CALLS: u32 = 64;

/// What all connections of a door share.
pub(crate) struct Door {
    pub(crate) engine: Arc<Engine>,
    /// The client URLs that member lists show.
    pub(crate) advertise: Vec<String>,
    pub(crate) meters: Meters,
    pub(crate) tasks: TaskGroup,
    /// Cancelled when the door drains: streams end then.
    pub(crate) draining: CancellationToken,
}

impl Door {
    /// Waits for `work`, though not once the door drains.
    ///
    /// # Errors
    /// Those of `work`, or that the server stops.
    pub(crate) async fn unless_draining<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            () = self.draining.cancelled() => Err(EtcdError::STOPPED.into()),
            done = work => done,
        }
    }
}

/// One client connection.
pub(crate) struct Connection {
    pub(crate) door: Arc<Door>,
    floor: AtomicI64,
    calls: AtomicU32,
}

impl Connection {
    pub(crate) fn new(door: Arc<Door>) -> Self {
        door.meters.connection_opened();
        Self {
            door,
            floor: AtomicI64::new(0),
            calls: AtomicU32::new(0),
        }
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.door.engine
    }

    /// The highest revision shown on it.
    pub(crate) fn floor(&self) -> Revision {
        Revision::new(self.floor.load(Ordering::Relaxed))
    }

    /// An answer shows `revision`.
    pub(crate) fn shown(&self, revision: Revision) {
        // Most answers show what the one before did: look before writing.
        if self.floor.load(Ordering::Relaxed) < revision.get() {
            self.floor.fetch_max(revision.get(), Ordering::Relaxed);
        }
    }

    /// The time, if this call is one of those that are timed.
    pub(crate) fn clock(&self) -> Option<Instant> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        call.is_multiple_of(TIMED_CALLS).then(Instant::now)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.door.meters.connection_closed();
    }
}

/// One call being answered.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) connection: &'a Arc<Connection>,
    pub(crate) method: Method,
    pub(crate) terms: &'a Terms,
    pub(crate) headers: &'a HeaderMap,
}

impl Call<'_> {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        self.connection.engine()
    }

    /// The terms of a read whose message says `serializable`.
    pub(crate) fn read_terms(&self, serializable: bool) -> ReadTerms {
        self.terms.of_read(serializable, self.connection.floor())
    }

    /// Refuses a call that is late already, or that wants a leader while the home has none.
    ///
    /// # Errors
    /// `context deadline exceeded`, `etcdserver: no leader`.
    pub(crate) fn check_terms(&self) -> Result<(), Failure> {
        if self.is_late() {
            return Err(Failure::deadline());
        }
        match self.terms.leader {
            LeaderWanted::Yes if !self.engine().has_leader() => Err(EtcdError::NO_LEADER.into()),
            LeaderWanted::Yes | LeaderWanted::No => Ok(()),
        }
    }

    /// Whether the client's deadline has passed.
    pub(crate) fn is_late(&self) -> bool {
        self.terms
            .deadline
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits for `work`, though not beyond the client's deadline.
    ///
    /// # Errors
    /// Those of `work`, or that the deadline has passed.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match self.terms.deadline {
            None => work.await,
            Some(deadline) => tokio::time::timeout_at(deadline.into(), work)
                .await
                .unwrap_or_else(|_| Err(Failure::deadline())),
        }
    }
}

/// The answer to a unary call.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The message with its gRPC prefix.
    pub(crate) frame: Bytes,
    pub(crate) served: Served,
}

/// Who answered.
#[derive(Debug)]
pub(crate) enum Served {
    /// This gateway, from a replica so old.
    Local {
        /// None while it is not known.
        staleness: Option<Duration>,
    },
    /// The home, with its response metadata.
    Home {
        /// Without what belongs to the hop between us.
        metadata: HeaderMap,
    },
}

/// A header's facts for an answer that does not meet the keyspace.
pub(crate) fn without_revision(facts: Facts) -> Facts {
    Facts {
        revision: Revision::ZERO,
        ..facts
    }
}
