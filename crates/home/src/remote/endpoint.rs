//! One endpoint: its connections and what was last seen of the member behind it.
//!
//! Invariant: a connection is offered for calls only after the member has answered on it once. An
//! endpoint set aside comes back by time alone. Dials nothing and chooses nothing.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::{
    channel::{Channel, Client},
    url::EndpointUrl,
    version::{self, Version},
};
use crate::EndpointStatus;

/// One endpoint of the home.
pub(super) struct Endpoint {
    url: EndpointUrl,
    connections: Box<[Mutex<Option<Connection>>]>,
    next: AtomicUsize,
    born: Instant,
    /// Milliseconds after `born` until which new calls avoid it.
    aside_until: AtomicU64,
    is_leader: AtomicBool,
    seen: Mutex<Seen>,
}

/// A connection that can take calls.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) client: Client,
    pub(super) channel: Channel,
}

/// What was last seen of the member.
#[derive(Default)]
struct Seen {
    version: Option<(String, Option<Version>)>,
    warning: Option<String>,
    last_error: Option<String>,
}

impl Endpoint {
    /// An endpoint that nothing is known of, with room for so many connections.
    pub(super) fn new(url: EndpointUrl, connections: usize) -> Self {
        Self {
            url,
            connections: (0..connections.max(1)).map(|_| Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
            born: Instant::now(),
            aside_until: AtomicU64::new(0),
            is_leader: AtomicBool::new(false),
            seen: Mutex::new(Seen::default()),
        }
    }

    pub(super) fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// How many connections it is to have.
    pub(super) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// A connection to send a call on; its connections take turns.
    pub(super) fn connection(&self) -> Option<Connection> {
        let count = self.connections.len();
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        (0..count).find_map(|i| {
            let connection = self.connections[(first.wrapping_add(i)) % count].lock();
            connection
                .as_ref()
                .filter(|c| !c.channel.is_closed())
                .cloned()
        })
    }

    /// Offers a connection for calls, until the answer is dropped.
    pub(super) fn offer(&self, place: usize, connection: Connection) -> Offer<'_> {
        *self.connections[place].lock() = Some(connection);
        Offer {
            endpoint: self,
            place,
        }
    }

    /// Lets new calls avoid it for `time`.
    pub(super) fn set_aside(&self, time: Duration, why: impl Into<String>) {
        let until = self.born.elapsed() + time;
        self.aside_until.fetch_max(millis(until), Ordering::Relaxed);
        self.note_error(why);
    }

    /// How long new calls still avoid it; zero if they do not.
    pub(super) fn aside_for(&self) -> Duration {
        let until = self.aside_until.load(Ordering::Relaxed);
        Duration::from_millis(until.saturating_sub(millis(self.born.elapsed())))
    }

    /// Notes what was wrong.
    pub(super) fn note_error(&self, what: impl Into<String>) {
        self.seen.lock().last_error = Some(what.into());
    }

    /// Whether its member said last that it leads.
    pub(super) fn is_leader(&self) -> bool {
        self.is_leader.load(Ordering::Relaxed)
    }

    /// Notes whether its member leads.
    pub(super) fn note_leader(&self, leads: bool) {
        self.is_leader.store(leads, Ordering::Relaxed);
    }

    /// Notes the version that the member told; warns of its faults when it is news.
    pub(super) fn note_version(&self, text: &str) {
        let mut seen = self.seen.lock();
        if seen
            .version
            .as_ref()
            .is_some_and(|(known, _)| known == text)
        {
            return;
        }
        let parsed: Option<Version> = text.parse().ok();
        seen.warning = match parsed {
            Some(version) => version::warning(version),
            None => Some(format!(
                "tells {text:?} as its version, which is not one of etcd"
            )),
        };
        if let Some(warning) = &seen.warning {
            tracing::warn!(endpoint = %self.url, "{warning}");
        } else {
            tracing::info!(endpoint = %self.url, version = text, "etcd version");
        }
        seen.version = Some((text.to_owned(), parsed));
    }

    /// The version that the member told last, if it is one.
    pub(super) fn version(&self) -> Option<(Version, String)> {
        let seen = self.seen.lock();
        seen.version
            .as_ref()
            .and_then(|(text, parsed)| parsed.map(|v| (v, text.clone())))
    }

    /// For `status`.
    pub(super) fn status(&self) -> EndpointStatus {
        let connected = self.connections.iter().any(|c| c.lock().is_some());
        let healthy = connected && self.aside_for().is_zero();
        let seen = self.seen.lock();
        EndpointStatus {
            url: self.url.to_string(),
            version: seen.version.as_ref().map(|(text, _)| text.clone()),
            healthy,
            last_error: seen.last_error.clone().filter(|_| !healthy),
            warning: seen.warning.clone(),
        }
    }
}

/// Keeps a connection on offer.
pub(super) struct Offer<'a> {
    endpoint: &'a Endpoint,
    place: usize,
}

impl Drop for Offer<'_> {
    fn drop(&mut self) {
        *self.endpoint.connections[self.place].lock() = None;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
