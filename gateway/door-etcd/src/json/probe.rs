//! `/version`, `/health`, `/livez` and `/readyz`, about the home as seen from this gateway.
//!
//! A gateway is well when it can do its work: serializable reads need a complete replica, all else
//! a home with a leader. Alarms are the home's.

use std::{fmt::Write as _, time::Duration, time::Instant};

use http::{Response, StatusCode};
use meridian_engine::{Engine, Level, Mode};
use meridian_etcd_api::{
    Method,
    etcdserverpb::{AlarmRequest, AlarmResponse, AlarmType},
};
use meridian_home::Call;
use meridian_keyspace::Revision;
use prost::Message;

use super::{Dialect, JSON, PLAIN, plain, respond};
use crate::{body::DoorBody, call::Connection};

/// How long one check may take: Kubernetes' probes wait 15 s for etcd, load balancers 5 s.
const CHECK_DEADLINE: Duration = Duration::from_secs(4);

/// One of the endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Version,
    Health,
    /// `/livez` or one of its checks.
    Live(Option<Check>),
    /// `/readyz` or one of its checks.
    Ready(Option<Check>),
}

/// One check of `/livez` or `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

const LIVE: [Check; 1] = [Check::SerializableRead];
const READY: [Check; 4] = [
    Check::DataCorruption,
    Check::SerializableRead,
    Check::LinearizableRead,
    Check::NonLearner,
];

impl Check {
    fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, engine: &Engine) -> Result<(), String> {
        match self {
            Self::DataCorruption => match alarm(engine, AlarmType::Corrupt).await {
                Alarm::Raised => Err("alarm activated: CORRUPT".to_owned()),
                Alarm::Silent => Ok(()),
            },
            Self::SerializableRead => serializable(engine),
            Self::LinearizableRead => linearizable(engine).await,
            // A gateway is nobody's learner.
            Self::NonLearner => Ok(()),
        }
    }
}

impl Probe {
    /// The endpoint at a path, if etcd of that version has one there.
    pub(super) fn of(path: &str, dialect: Dialect) -> Option<Self> {
        match path {
            "/version" => return Some(Self::Version),
            "/health" => return Some(Self::Health),
            _ if !dialect.has_probes() => return None,
            "/livez" => return Some(Self::Live(None)),
            "/readyz" => return Some(Self::Ready(None)),
            _ => {}
        }
        let named = |name: &str, of: &[Check]| of.iter().copied().find(|c| c.name() == name);
        match path.strip_prefix("/livez/") {
            Some(name) => named(name, &LIVE).map(|check| Self::Live(Some(check))),
            None => {
                named(path.strip_prefix("/readyz/")?, &READY).map(|check| Self::Ready(Some(check)))
            }
        }
    }
}

/// Answers a `GET`.
pub(super) async fn answer(
    connection: &Connection,
    probe: Probe,
    query: &str,
    dialect: Dialect,
) -> Response<DoorBody> {
    let engine = connection.engine();
    let query = Query::of(query);
    match probe {
        Probe::Version => version(engine, dialect),
        Probe::Health => health(engine, &query, dialect).await,
        Probe::Live(one) => checks(engine, &query, one, &LIVE).await,
        Probe::Ready(one) => checks(engine, &query, one, &READY).await,
    }
}

/// What of a query string counts.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    excluded: Vec<String>,
    serializable: bool,
    verbose: bool,
}

impl Query {
    fn of(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "exclude" => query.excluded.push(value.to_owned()),
                "serializable" => query.serializable = value == "true",
                "verbose" => query.verbose = true,
                _ => {}
            }
        }
        query
    }

    fn excludes(&self, name: &str) -> bool {
        self.excluded.iter().any(|excluded| excluded == name)
    }
}

fn version(engine: &Engine, dialect: Dialect) -> Response<DoorBody> {
    let server = engine.home().describe().version.unwrap_or_default();
    let cluster = match server.rsplit_once('.') {
        Some((minor, _)) => format!("{minor}.0"),
        None => "not_decided".to_owned(),
    };
    let mut text = format!(r#"{{"etcdserver":"{server}","etcdcluster":"{cluster}""#);
    if dialect.has_storage_version() && !server.is_empty() {
        write!(text, r#","storage":"{cluster}""#).expect("a String takes everything");
    }
    text.push('}');
    respond(StatusCode::OK, JSON, text.into())
}

async fn health(engine: &Engine, query: &Query, dialect: Dialect) -> Response<DoorBody> {
    let reason = unhealthy(engine, query).await;
    let healthy = reason.is_none();
    let mut text = format!(r#"{{"health":"{healthy}""#);
    if dialect.has_reason() {
        let reason = serde_json::to_string(&reason.unwrap_or_default());
        let reason = reason.expect("a string is always JSON");
        write!(text, r#","reason":{reason}"#).expect("a String takes everything");
    }
    text.push('}');
    if healthy {
        return respond(StatusCode::OK, PLAIN, text.into());
    }
    text.push('\n');
    plain(StatusCode::SERVICE_UNAVAILABLE, text)
}

/// Why `/health` is not well, in etcd's order and words.
async fn unhealthy(engine: &Engine, query: &Query) -> Option<String> {
    if query.serializable {
        return serializable(engine)
            .err()
            .map(|error| format!("RANGE ERROR:{error}"));
    }
    if !engine.has_leader() {
        return Some("RAFT NO LEADER".to_owned());
    }
    for (kind, name) in [
        (AlarmType::Nospace, "NOSPACE"),
        (AlarmType::Corrupt, "CORRUPT"),
    ] {
        if !query.excludes(name) && alarm(engine, kind).await == Alarm::Raised {
            return Some(format!("ALARM {name}"));
        }
    }
    linearizable(engine)
        .await
        .err()
        .map(|error| format!("RANGE ERROR:{error}"))
}

async fn checks(
    engine: &Engine,
    query: &Query,
    one: Option<Check>,
    all: &[Check],
) -> Response<DoorBody> {
    let mut text = String::new();
    let mut failed = false;
    let wanted = all
        .iter()
        .filter(|check| one.is_none_or(|one| one == **check));
    for check in wanted.filter(|check| !query.excludes(check.name())) {
        let line = match check.run(engine).await {
            Ok(()) => format!("[+]{} ok\n", check.name()),
            Err(error) => {
                failed = true;
                format!("[-]{} failed: {error}\n", check.name())
            }
        };
        text.push_str(&line);
    }
    if failed {
        text.push('\n');
        return plain(StatusCode::SERVICE_UNAVAILABLE, text);
    }
    let shown = if query.verbose {
        text + "ok\n"
    } else {
        "ok\n".to_owned()
    };
    plain(StatusCode::OK, shown)
}

/// Whether this gateway could answer a serializable read.
fn serializable(engine: &Engine) -> Result<(), String> {
    match engine.mode() {
        Mode::Starting => Err("meridian: the replica is not complete yet".to_owned()),
        Mode::Local | Mode::Forwarding => Ok(()),
    }
}

/// Whether this gateway could answer a linearizable read.
async fn linearizable(engine: &Engine) -> Result<(), String> {
    let deadline = Some(Instant::now() + CHECK_DEADLINE);
    let admitted = engine
        .admit(Level::Linearizable, Revision::ZERO, deadline)
        .await;
    admitted.map(|_| ()).map_err(|error| error.to_string())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alarm {
    Raised,
    /// Or the home did not say: that it does not answer is another check's to find.
    Silent,
}

async fn alarm(engine: &Engine, kind: AlarmType) -> Alarm {
    let request = AlarmRequest {
        alarm: kind.into(),
        ..AlarmRequest::default()
    };
    let mut call = Call::new(Method::MaintenanceAlarm, request.encode_to_vec().into());
    let deadline = Instant::now() + CHECK_DEADLINE;
    call.deadline = Some(deadline);
    let asked = tokio::time::timeout_at(deadline.into(), engine.forward(call)).await;
    let raised = asked.ok().and_then(Result::ok).is_some_and(|reply| {
        AlarmResponse::decode(reply.message)
            .is_ok_and(|answer| answer.alarms.iter().any(|a| a.alarm == i32::from(kind)))
    });
    if raised { Alarm::Raised } else { Alarm::Silent }
}
