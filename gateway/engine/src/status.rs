//! What a gateway says of itself, and whether its home has a leader.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meridian_home::{CallError, Description};
use parking_lot::Mutex;
use serde::Serialize;

use crate::{Engine, Mode};

/// How often it is logged that the home does not answer: probes go on ten times a second.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// A gateway's state, for `/status.json`.
#[derive(Clone, Debug, Serialize)]
pub struct EngineStatus {
    /// The node's name.
    pub node: String,
    /// Its region.
    pub region: String,
    /// `"starting"`, `"local"` or `"forwarding"`.
    pub mode: &'static str,
    /// The epoch of the home it follows; 0 until homes move.
    pub epoch: u64,
    /// The replica's revision.
    pub revision: i64,
    /// Upper bound on the replica's age; none before it is known.
    pub staleness_ms: Option<u64>,
    /// Whether the home has a leader, as far as is known here.
    pub home_has_leader: bool,
    /// What the home said last when it did not answer a probe.
    pub home_error: Option<String>,
    /// The home.
    pub home: Description,
    /// The home cluster's id, in hexadecimal as etcdctl prints it.
    pub cluster_id: String,
    /// Keys in the replica.
    pub keys: u64,
    /// Bytes of the replica's records and index, about.
    pub replica_bytes: u64,
    /// Of these, bytes of history.
    pub history_bytes: u64,
    /// The lowest revision that is read locally.
    pub history_from: i64,
    /// Keys loaded and total while a bootstrap runs.
    pub bootstrap: Option<BootstrapProgress>,
    /// Watchers open.
    pub watchers: u64,
    /// Client watch streams open.
    pub watch_streams: u64,
}

/// How far a bootstrap is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BootstrapProgress {
    /// Keys loaded.
    pub keys_done: u64,
    /// Keys in all.
    pub keys_total: u64,
}

impl Engine {
    /// The state now.
    pub fn status(&self) -> EngineStatus {
        let replica = self.replica.load_full();
        let (keys, bytes, history, from) = replica.map_or((0, 0, 0, 0), |keyspace| {
            keyspace.read(|k| {
                (
                    k.len() as u64,
                    k.bytes() as u64,
                    k.history_bytes() as u64,
                    k.floor().get(),
                )
            })
        });
        let (watchers, watch_streams) = self.watches.counts();
        EngineStatus {
            node: self.config.node.clone(),
            region: self.config.region.clone(),
            mode: mode_name(self.mode()),
            epoch: 0,
            revision: self.revision().get(),
            staleness_ms: self.staleness().map(|age| age.as_millis() as u64),
            home_has_leader: self.leadership.has_been_confirmed() && self.has_leader(),
            home_error: self.leadership.last_error(),
            home: self.home.describe(),
            cluster_id: format!("{:x}", self.facts().cluster_id),
            keys,
            replica_bytes: bytes,
            history_bytes: history,
            history_from: from,
            bootstrap: self.leadership.bootstrap(),
            watchers,
            watch_streams,
        }
    }

    /// Why the gateway is not ready, none if it is: its replica must be complete and at most
    /// `staleness_max` old. While the home wants authentication it is ready if the home answers.
    pub fn not_ready(&self, staleness_max: Duration) -> Option<String> {
        match self.mode() {
            Mode::Starting => Some(match self.leadership.bootstrap() {
                Some(progress) => format!(
                    "the replica is not complete: {} of {} keys",
                    progress.keys_done, progress.keys_total
                ),
                None => match self.leadership.last_error() {
                    Some(error) => format!("the replica is not complete: the home says: {error}"),
                    None => "the replica is not complete: waiting for the home".to_owned(),
                },
            }),
            Mode::Forwarding if self.has_leader() || self.leadership.refused_for_auth() => None,
            Mode::Forwarding => Some("the home does not answer".to_owned()),
            Mode::Local => match self.staleness() {
                Some(age) if age <= staleness_max => None,
                Some(age) => Some(format!(
                    "the replica is {} ms stale, over {} ms",
                    age.as_millis(),
                    staleness_max.as_millis()
                )),
                None => Some("the replica's staleness is not known yet".to_owned()),
            },
        }
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Starting => "starting",
        Mode::Local => "local",
        Mode::Forwarding => "forwarding",
    }
}

/// What is known of the home's leader, and how far a bootstrap is.
pub(crate) struct Leadership {
    confirmed: Mutex<Option<Instant>>,
    started: Instant,
    error: Mutex<Option<Arc<CallError>>>,
    /// When a failure was last logged.
    told: Mutex<Option<Instant>>,
    bootstrap: Mutex<Option<BootstrapProgress>>,
}

impl Leadership {
    pub(crate) fn new() -> Self {
        Self {
            confirmed: Mutex::new(None),
            started: Instant::now(),
            error: Mutex::new(None),
            told: Mutex::new(None),
            bootstrap: Mutex::new(None),
        }
    }

    pub(crate) fn confirmed(&self) {
        *self.confirmed.lock() = Some(Instant::now());
        *self.error.lock() = None;
    }

    pub(crate) fn failed(&self, error: &CallError) {
        let mut last = self.error.lock();
        let mut told = self.told.lock();
        let is_first = last.is_none();
        if told.is_none_or(|at| at.elapsed() >= TOLD_AGAIN) {
            *told = Some(Instant::now());
            tracing::warn!(error = %error, "the home did not answer a read-index probe");
        } else if is_first {
            tracing::debug!(error = %error, "the home did not answer a read-index probe");
        }
        *last = Some(Arc::new(error.clone()));
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.error
            .lock()
            .as_ref()
            .map(|error| error.message.clone())
    }

    pub(crate) fn refused_for_auth(&self) -> bool {
        self.error
            .lock()
            .as_ref()
            .is_some_and(|error| error.means_auth_required())
    }

    /// Whether a leader answered within `patience`, or there was no time to ask yet.
    pub(crate) fn present(&self, patience: Duration) -> bool {
        let since = self.confirmed.lock().unwrap_or(self.started);
        since.elapsed() < patience || self.refused_for_auth()
    }

    pub(crate) async fn lost(&self, patience: Duration) {
        // Every stream that asked for a leader waits here: it looks once per patience, and is not
        // woken by each of up to 200 confirmations a second.
        while self.present(patience) {
            let until = self.confirmed.lock().unwrap_or(self.started) + patience;
            // If that is over, credentials are wanted: the home is there. Look again later.
            let wait = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(if wait.is_zero() { patience } else { wait }).await;
        }
    }

    /// Whether the home has ever answered, be it that it wants credentials.
    pub(crate) fn has_been_confirmed(&self) -> bool {
        self.confirmed.lock().is_some() || self.refused_for_auth()
    }

    pub(crate) fn set_bootstrap(&self, progress: Option<BootstrapProgress>) {
        *self.bootstrap.lock() = progress;
    }

    pub(crate) fn bootstrap(&self) -> Option<BootstrapProgress> {
        *self.bootstrap.lock()
    }
}
