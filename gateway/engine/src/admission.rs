//! Admission: where a read is answered, and the wait until it may be.
//!
//! Invariant: a view is handed out only when its replica is complete, authentication is off as far
//! as the home has said, and the level's promise holds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meridian_home::{CallError, Fate};
use meridian_keyspace::Revision;

use crate::{AdmitError, Admitted, Engine, Level, Mode, View};

/// How long a read waits in all, when its client sets no deadline: etcd's own request time-out
/// with default flags (5 s + 2 election time-outs of 1 s).
const WAIT_MAX: Duration = Duration::from_secs(7);

/// How long a read waits for the replica to reach a revision that the home has confirmed, before
/// it is carried home instead: far above the log's lag, far below a client's patience.
const LAG_PATIENCE: Duration = Duration::from_secs(1);

/// How long a read that must not go back waits for the replica to reach what its connection has
/// seen: the log delivers it within milliseconds, or the home is cut off.
const FLOOR_PATIENCE: Duration = Duration::from_secs(2);

impl Engine {
    /// Admits a read that need not wait: none if it has to, or is to be carried home. `floor` is
    /// the highest revision that the client's connection has seen.
    #[inline]
    pub fn admit_now(&self, level: &Level, floor: Revision) -> Option<View> {
        let wanted = match level {
            Level::Serializable => floor,
            Level::Session(revision) => floor.max(*revision),
            Level::Bounded(age) => {
                let since = Instant::now().checked_sub(*age)?;
                self.fresh_since(since).then_some(floor)?
            }
            Level::Linearizable => return None,
        };
        let view = self.view()?;
        (view.facts.revision >= wanted).then_some(view)
    }

    /// Admits a read, waiting as its level needs, at most until `deadline`.
    ///
    /// # Errors
    /// [`AdmitError`]: what the client is told.
    pub async fn admit(
        &self,
        level: Level,
        floor: Revision,
        deadline: Option<Instant>,
    ) -> Result<Admitted, AdmitError> {
        let began = Instant::now();
        let limit = deadline.map_or(began + WAIT_MAX, |d| d.min(began + WAIT_MAX));
        match self.mode() {
            Mode::Local => {}
            Mode::Forwarding => return Ok(Admitted::Forward),
            Mode::Starting if level == Level::Serializable => return Err(AdmitError::Incomplete),
            Mode::Starting => return Ok(Admitted::Forward),
        }
        match level {
            Level::Serializable => self.at_least(floor, limit, FLOOR_PATIENCE).await,
            Level::Session(revision) => self.at_least(floor.max(revision), limit, WAIT_MAX).await,
            Level::Bounded(age) => self.bounded(age, floor, began, limit).await,
            Level::Linearizable => self.linearizable(floor, limit).await,
        }
    }

    async fn at_least(
        &self,
        wanted: Revision,
        limit: Instant,
        patience: Duration,
    ) -> Result<Admitted, AdmitError> {
        let until = limit.min(Instant::now() + patience);
        match self.reached.load_full().reached(wanted.get(), until).await {
            Ok(_) => self.admitted(wanted),
            Err(short) => Err(AdmitError::NotReached {
                at: Revision::new(short.reached),
                wanted,
            }),
        }
    }

    /// A read no staler than `age` when it arrived: the replica is known to be, or a probe that
    /// left after the arrival is waited for.
    async fn bounded(
        &self,
        age: Duration,
        floor: Revision,
        began: Instant,
        limit: Instant,
    ) -> Result<Admitted, AdmitError> {
        let fresh = began
            .checked_sub(age)
            .is_some_and(|since| self.fresh_since(since));
        if fresh {
            return self.at_least(floor, limit, FLOOR_PATIENCE).await;
        }
        match self.linearizable(floor, limit).await {
            Err(AdmitError::Home(error)) => Err(AdmitError::TooStale {
                staleness_ms: self.staleness().unwrap_or(Duration::MAX).as_millis(),
                allowed_ms: age.as_millis(),
                cause: error.message,
            }),
            other => other,
        }
    }

    async fn linearizable(&self, floor: Revision, limit: Instant) -> Result<Admitted, AdmitError> {
        let probe = match tokio::time::timeout_at(limit.into(), self.probes.join()).await {
            Ok(Ok(probe)) => probe,
            Ok(Err(error)) if error.means_auth_required() => return Ok(Admitted::Forward),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(out_of_time().into()),
        };
        let wanted = probe.facts.revision.max(floor);
        let until = limit.min(Instant::now() + LAG_PATIENCE);
        match self.reached.load_full().reached(wanted.get(), until).await {
            Ok(_) => self.admitted(wanted),
            Err(_) => Ok(Admitted::Forward),
        }
    }

    /// The replica, unless it was closed or replaced by another home's since it had `wanted`.
    fn admitted(&self, wanted: Revision) -> Result<Admitted, AdmitError> {
        let view = self.view().filter(|view| view.facts.revision >= wanted);
        Ok(view.map_or(Admitted::Forward, Admitted::Local))
    }

    /// The replica as it may be shown now.
    #[inline]
    fn view(&self) -> Option<View> {
        if !self.serves_locally() {
            return None;
        }
        let keyspace = self.replica.load();
        let keyspace = Arc::clone(keyspace.as_ref()?);
        let mut facts = self.facts();
        facts.revision = keyspace.revision();
        let staleness = self.staleness().unwrap_or(Duration::MAX);
        Some(View {
            keyspace,
            facts,
            staleness,
        })
    }
}

/// What etcd's server answers when a request's time is up.
fn out_of_time() -> CallError {
    CallError::new(
        tonic::Code::Unavailable,
        "etcdserver: request timed out",
        Fate::Unknown,
    )
}
