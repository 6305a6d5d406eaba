//! Which endpoint a call goes to.
//!
//! Invariant: an endpoint set aside gets a call only when no other is connected. Unary calls go
//! round; streams keep to one endpoint while it is well, so that what they tell does not jump
//! between members. Sends nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::{sync::watch, time::timeout_at};

use super::endpoint::{Connection, Endpoint};

/// All endpoints of a home.
pub(super) struct Pool {
    endpoints: Vec<Arc<Endpoint>>,
    round: AtomicUsize,
    for_streams: AtomicUsize,
    /// Counts connections that became usable.
    arrivals: watch::Sender<u64>,
}

/// What a call wants of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Any; they take turns.
    Turn,
    /// The one that streams go to.
    Steady,
    /// The leader, where it is known.
    Leader,
}

/// An endpoint chosen, with a connection to it.
pub(super) struct Chosen {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) connection: Connection,
}

impl Pool {
    /// Of at least one endpoint.
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self {
            endpoints,
            round: AtomicUsize::new(0),
            for_streams: AtomicUsize::new(0),
            arrivals: watch::Sender::new(0),
        }
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Wakes the calls that wait for a connection.
    pub(super) fn note_arrival(&self) {
        self.arrivals.send_modify(|count| *count += 1);
    }

    /// An endpoint for a call, other than `not` if there is a choice; waits for one to be
    /// connected until `by`. Cancel-safe.
    pub(super) async fn choose(
        &self,
        route: Route,
        not: Option<&Arc<Endpoint>>,
        by: Instant,
    ) -> Option<Chosen> {
        if let Some(chosen) = self.try_choose(route, not) {
            return Some(chosen);
        }
        let mut arrivals = self.arrivals.subscribe();
        loop {
            arrivals.borrow_and_update();
            if let Some(chosen) = self.try_choose(route, not) {
                return Some(chosen);
            }
            // The sender lives as long as the pool, so an end can only be the deadline.
            timeout_at(by.into(), arrivals.changed()).await.ok()?.ok()?;
        }
    }

    fn try_choose(&self, route: Route, not: Option<&Arc<Endpoint>>) -> Option<Chosen> {
        let preferred = match route {
            Route::Turn => None,
            Route::Steady => Some(self.for_streams.load(Ordering::Relaxed)),
            Route::Leader => self.endpoints.iter().position(|e| e.is_leader()),
        };
        let first = preferred.unwrap_or_else(|| self.round.fetch_add(1, Ordering::Relaxed));
        let (place, connection) = self.well(first, not).or_else(|| self.least_bad(not))?;
        if route == Route::Steady {
            self.for_streams.store(place, Ordering::Relaxed);
        }
        Some(Chosen {
            endpoint: self.endpoints[place].clone(),
            connection,
        })
    }

    /// The first endpoint from `first` on that is connected and not set aside.
    fn well(&self, first: usize, not: Option<&Arc<Endpoint>>) -> Option<(usize, Connection)> {
        let count = self.endpoints.len();
        (0..count)
            .map(|i| first.wrapping_add(i) % count)
            .find_map(|place| {
                let endpoint = &self.endpoints[place];
                let avoided = is(endpoint, not) || !endpoint.aside_for().is_zero();
                if avoided {
                    None
                } else {
                    Some((place, endpoint.connection()?))
                }
            })
    }

    /// The connected endpoint that comes back soonest, one other than `not` before it.
    fn least_bad(&self, not: Option<&Arc<Endpoint>>) -> Option<(usize, Connection)> {
        let connected = self
            .endpoints
            .iter()
            .enumerate()
            .filter_map(|(place, endpoint)| {
                Some((
                    is(endpoint, not),
                    endpoint.aside_for(),
                    place,
                    endpoint.connection()?,
                ))
            });
        let best = connected.min_by_key(|(is_not, aside_for, _, _)| (*is_not, *aside_for))?;
        Some((best.2, best.3))
    }
}

fn is(endpoint: &Arc<Endpoint>, other: Option<&Arc<Endpoint>>) -> bool {
    other.is_some_and(|other| Arc::ptr_eq(endpoint, other))
}
