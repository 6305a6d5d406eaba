//! The door's metrics and the counters that `status` shows.
//!
//! Labels are bounded: the method table, gRPC's codes, `local` or `home`. A handle is looked up at
//! its first use and kept, so that a call costs two additions.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use meridian_etcd_api::{Effect, Method};
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use serde::Serialize;
use tonic::Code;

use crate::call::Served;

const CALLS: &str = "meridian_etcd_calls_total";
const SECONDS: &str = "meridian_etcd_call_seconds";
const STREAMS_OPENED: &str = "meridian_etcd_watch_streams_opened_total";
const STREAMS_CLOSED: &str = "meridian_etcd_watch_streams_closed_total";
const EVENTS: &str = "meridian_etcd_watch_events_total";
const CONNECTIONS_OPENED: &str = "meridian_etcd_connections_opened_total";
const CONNECTIONS_CLOSED: &str = "meridian_etcd_connections_closed_total";

/// gRPC has 17 codes, 0 to 16.
const CODES: usize = 17;

/// Describes the metrics to the recorder that is installed.
pub fn describe_metrics() {
    describe_counter!(
        CALLS,
        "Calls answered, by method, who served them, and gRPC code."
    );
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Time a call took in the door, one call in 64, by method and who served it."
    );
    describe_counter!(STREAMS_OPENED, "Watch streams opened on the local replica.");
    describe_counter!(STREAMS_CLOSED, "Of these, streams closed.");
    describe_counter!(EVENTS, "Watch events delivered.");
    describe_counter!(CONNECTIONS_OPENED, "Client connections opened.");
    describe_counter!(CONNECTIONS_CLOSED, "Of these, connections closed.");
}

/// What `status` shows of a door; each but `connections` only rises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DoorStatus {
    /// Client connections open.
    pub connections: u64,
    /// Connections turned away because too many were open.
    pub connections_refused: u64,
    /// Reads answered from the replica.
    pub reads_local: u64,
    /// Reads carried home.
    pub reads_home: u64,
    /// Writes carried home, all of which the home answered well.
    pub writes: u64,
    /// Calls that failed, whoever refused them.
    pub failures: u64,
    /// Watch streams open on the replica.
    pub watch_streams: u64,
    /// Watch events delivered.
    pub watch_events: u64,
}

/// One method's handles.
#[derive(Default)]
struct MethodMeters {
    local: OnceLock<Counter>,
    home: OnceLock<Counter>,
    failed: [OnceLock<Counter>; CODES],
    local_seconds: OnceLock<Histogram>,
    home_seconds: OnceLock<Histogram>,
}

/// The handles and counters of a door.
pub(crate) struct Meters {
    methods: Vec<MethodMeters>,
    reads_local: AtomicU64,
    reads_home: AtomicU64,
    writes: AtomicU64,
    failures: AtomicU64,
    streams_opened: AtomicU64,
    streams_closed: AtomicU64,
    events: AtomicU64,
    opened: Counter,
    closed: Counter,
    delivered: Counter,
    connections_opened: Counter,
    connections_closed: Counter,
}

impl Meters {
    pub(crate) fn new() -> Self {
        Self {
            methods: Method::ALL
                .iter()
                .map(|_| MethodMeters::default())
                .collect(),
            reads_local: AtomicU64::new(0),
            reads_home: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            streams_opened: AtomicU64::new(0),
            streams_closed: AtomicU64::new(0),
            events: AtomicU64::new(0),
            opened: counter!(STREAMS_OPENED),
            closed: counter!(STREAMS_CLOSED),
            delivered: counter!(EVENTS),
            connections_opened: counter!(CONNECTIONS_OPENED),
            connections_closed: counter!(CONNECTIONS_CLOSED),
        }
    }

    /// A call went well.
    pub(crate) fn answered(&self, method: Method, served: &Served) {
        let meters = &self.methods[method as usize];
        let (counter, label) = match served {
            Served::Local { .. } => (&meters.local, "local"),
            Served::Home { .. } => (&meters.home, "home"),
        };
        counter
            .get_or_init(|| calls(method, label, Code::Ok))
            .increment(1);
        let counted = match (served, method.effect()) {
            (Served::Local { .. }, _) => &self.reads_local,
            (Served::Home { .. }, Effect::Read) => &self.reads_home,
            (Served::Home { .. }, Effect::Write | Effect::Token) => &self.writes,
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }

    /// A call failed.
    pub(crate) fn failed(&self, method: Method, code: Code) {
        let counter = &self.methods[method as usize].failed[code as usize];
        counter
            .get_or_init(|| calls(method, "none", code))
            .increment(1);
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How long a call took; told for a sample of them.
    pub(crate) fn took(&self, method: Method, local: bool, time: Duration) {
        let meters = &self.methods[method as usize];
        let (histogram, label) = if local {
            (&meters.local_seconds, "local")
        } else {
            (&meters.home_seconds, "home")
        };
        histogram
            .get_or_init(|| histogram!(SECONDS, "method" => method.path(), "served_by" => label))
            .record(time.as_secs_f64());
    }

    pub(crate) fn connection_opened(&self) {
        self.connections_opened.increment(1);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections_closed.increment(1);
    }

    pub(crate) fn watch_stream_opened(&self) {
        self.opened.increment(1);
        self.streams_opened.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn watch_stream_closed(&self) {
        self.closed.increment(1);
        self.streams_closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn watch_events(&self, count: usize) {
        self.delivered.increment(count as u64);
        self.events.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// What `status` shows; connections are the accept loop's to count.
    pub(crate) fn status(&self) -> DoorStatus {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let closed = get(&self.streams_closed);
        DoorStatus {
            connections: 0,
            connections_refused: 0,
            reads_local: get(&self.reads_local),
            reads_home: get(&self.reads_home),
            writes: get(&self.writes),
            failures: get(&self.failures),
            watch_streams: get(&self.streams_opened).saturating_sub(closed),
            watch_events: get(&self.events),
        }
    }
}

fn calls(method: Method, served_by: &'static str, code: Code) -> Counter {
    let code = format!("{code:?}");
    counter!(CALLS, "method" => method.path(), "served_by" => served_by, "code" => code)
}
