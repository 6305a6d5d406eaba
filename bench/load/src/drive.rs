//! Drives one workload against one endpoint: connections opened once, then as many runs as wanted.
//!
//! Every run ends: what is still in flight when the time is over has ten seconds, then it is counted as stuck and
//! aborted. Latency is taken from the start of the call (closed loop) or from when it was meant to start (open loop).

mod closed;
mod keep_alive;
mod open;

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::{
    connection::{Caller, Connection, Endpoint},
    outcome::Outcome,
    shape::Shape,
    workload::{Operation, Requests},
};
use keep_alive::KeepAlives;

/// After the end of a run, for what is in flight.
const GRACE: Duration = Duration::from_secs(10);

/// How operations follow one another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// Each answer starts the next operation: as fast as the server goes.
    Closed {
        /// Operations in flight over all connections.
        in_flight: usize,
    },
    /// A fixed rate, whatever the server does.
    Open {
        /// Operations per second.
        rate: f64,
        /// Most operations in flight; what is due beyond them waits, and the wait counts.
        in_flight_max: usize,
    },
}

/// Open connections and encoded requests.
#[derive(Debug)]
pub struct Session {
    work: Work,
    // Held so that callers stay connected.
    _connections: Vec<Connection>,
}

#[derive(Debug)]
enum Work {
    Unary {
        callers: Vec<Caller>,
        requests: Requests,
    },
    KeepAlive(KeepAlives),
}

impl Session {
    /// Opens `connections` to the endpoints in turn and encodes the requests.
    pub async fn open(
        endpoints: &[Endpoint],
        connections: usize,
        operation: Operation,
        shape: &Shape,
        in_flight: usize,
    ) -> anyhow::Result<Self> {
        ensure!(
            connections > 0 && !endpoints.is_empty(),
            "no connection to load: give at least 1"
        );
        let mut open = Vec::with_capacity(connections);
        for endpoint in endpoints.iter().cycle().take(connections) {
            open.push(Connection::open(endpoint).await?);
        }
        let work = match Requests::encode(operation, shape) {
            Some(requests) => {
                let callers = open
                    .iter()
                    .map(|connection| connection.caller(requests.method));
                Work::Unary {
                    callers: callers.collect(),
                    requests,
                }
            }
            None => Work::KeepAlive(KeepAlives::open(&open, in_flight).await?),
        };
        Ok(Self {
            work,
            _connections: open,
        })
    }

    /// One run. Fails if nothing at all succeeded, with the words of the first failure.
    pub async fn run(&mut self, how: Loop, duration: Duration) -> anyhow::Result<Outcome> {
        let outcome = match (&mut self.work, how) {
            (Work::Unary { callers, requests }, Loop::Closed { in_flight }) => {
                closed::run(callers, requests, in_flight, duration).await
            }
            (
                Work::Unary { callers, requests },
                Loop::Open {
                    rate,
                    in_flight_max,
                },
            ) => open::run(callers, requests, rate, in_flight_max, duration).await,
            (Work::KeepAlive(streams), Loop::Closed { in_flight: _ }) => {
                streams.run(duration).await
            }
            (Work::KeepAlive(_), Loop::Open { .. }) => {
                anyhow::bail!("keepalives run in a closed loop only: leave --rate away")
            }
        };
        if outcome.ops == 0 {
            let words = outcome
                .first_error
                .clone()
                .unwrap_or_else(|| "no answer".to_owned());
            return Err(anyhow::anyhow!(words)).context("no operation succeeded");
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
