//! Clients that read, write and compare-and-set, and remember what they were told.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{
    RangeRequest,
    compare::{CompareResult, TargetUnion},
};
use meridian_tests::{
    ask,
    client::Client,
    expect,
    linearize::{Action, Operation, Value},
};
use tonic::{Code, Status};

use crate::{KEYS, World};

/// A call is given up after this; what became of it is then unknown.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between the operations of one client: six of them make some hundreds a second.
const PACE: Duration = Duration::from_millis(12);

pub(crate) fn key(n: u64) -> Bytes {
    format!("register/{n}").into()
}

fn value(bytes: &[u8]) -> Result<Value> {
    std::str::from_utf8(bytes)?
        .parse()
        .context("values are numbers")
}

/// Works until the world is over; gives what it did, by key.
pub(crate) async fn work(world: Arc<World>, client: u64) -> Result<Vec<(u64, Operation)>> {
    let url = &world.urls[usize::try_from(client % 2)?];
    let mut connection = Client::connect(url)?;
    let mut rng = fastrand::Rng::with_seed(world.seed ^ client);
    let (mut history, mut seen) = (Vec::new(), [None; KEYS as usize]);
    let mut pace = tokio::time::interval(PACE);
    while !world.is_over() {
        pace.tick().await;
        let on = rng.u64(0..KEYS);
        let at = usize::try_from(on)?;
        // Values name their writer, so that no two writes are alike.
        let new = world.tick() * 10 + client;
        let intent = match rng.u8(0..5) {
            0 | 1 => Action::Read(None),
            2 | 3 => Action::Swap {
                expected: seen[at],
                new,
                held: None,
            },
            _ => Action::Write(new),
        };
        let called = world.tick();
        let told = tokio::time::timeout(PATIENCE, perform(&connection, on, intent)).await;
        let returned = world.tick();
        match told {
            Ok(Ok(action)) => {
                seen[at] = now_there(action).unwrap_or(seen[at]);
                history.push((
                    on,
                    Operation {
                        action,
                        called,
                        returned: Some(returned),
                    },
                ));
            }
            Ok(Err(status)) => {
                ensure!(is_trouble(&status), "{intent:?} was answered {status:?}");
                remember(&mut history, on, intent, called);
                connection = Client::connect(url)?;
            }
            Err(_) => {
                remember(&mut history, on, intent, called);
                connection = Client::connect(url)?;
            }
        }
    }
    Ok(history)
}

/// What an answer says about the value that is there.
fn now_there(action: Action) -> Option<Option<Value>> {
    match action {
        Action::Read(found) => Some(found),
        Action::Write(value)
        | Action::Swap {
            new: value,
            held: Some(true),
            ..
        } => Some(Some(value)),
        Action::Swap { .. } => None,
    }
}

/// A write without an answer may have happened; a read without one tells nothing.
fn remember(history: &mut Vec<(u64, Operation)>, on: u64, action: Action, called: u64) {
    if !matches!(action, Action::Read(_)) {
        history.push((
            on,
            Operation {
                action,
                called,
                returned: None,
            },
        ));
    }
}

/// What may be answered while members and gateways come and go.
fn is_trouble(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Unknown
            | Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Internal
    )
}

async fn perform(client: &Client, on: u64, intent: Action) -> Result<Action, Status> {
    let key = key(on);
    match intent {
        Action::Read(_) => {
            let answer = client.range(ask::get(key)).await?;
            let found = answer.kvs.first().map(|kv| value(&kv.value)).transpose();
            Ok(Action::Read(
                found.map_err(|error| Status::data_loss(error.to_string()))?,
            ))
        }
        Action::Write(new) => {
            client.put(ask::put(key, new.to_string())).await?;
            Ok(intent)
        }
        Action::Swap { expected, new, .. } => {
            let condition = match expected {
                Some(value) => ask::compare(
                    key.clone(),
                    CompareResult::Equal,
                    TargetUnion::Value(value.to_string().into()),
                ),
                None => ask::unchanged_since(key.clone(), 0),
            };
            let txn = ask::when(
                vec![condition],
                vec![ask::op_put(key, new.to_string())],
                vec![],
            );
            let held = Some(client.txn(txn).await?.succeeded);
            Ok(Action::Swap {
                expected,
                new,
                held,
            })
        }
    }
}

/// Reads at every level; on one connection revisions and values never go back.
pub(crate) async fn read_levels(world: Arc<World>, gateway: usize) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(world.seed ^ (100 + u64::try_from(gateway)?));
    let mut pace = tokio::time::interval(PACE);
    let mut client = Client::connect(&world.urls[gateway])?;
    let (mut shown, mut answered) = (0, 0_u64);
    while !world.is_over() {
        pace.tick().await;
        let request = RangeRequest {
            serializable: rng.bool(),
            ..ask::list(&"register/".into())
        };
        let levelled = match rng.u8(0..4) {
            0 => client.with("meridian-min-revision", &shown.to_string())?,
            1 => client.with("meridian-max-staleness", "1s")?,
            _ => client.clone(),
        };
        match tokio::time::timeout(PATIENCE, levelled.range(request.clone())).await {
            Ok(Ok(answer)) => {
                let revision = expect::revision(answer.header.as_ref())?;
                ensure!(
                    revision >= shown,
                    "revision {revision} after {shown} on one connection: {request:?}"
                );
                let newest = answer
                    .kvs
                    .iter()
                    .map(|kv| kv.mod_revision)
                    .max()
                    .unwrap_or(0);
                ensure!(
                    newest <= revision,
                    "a key of {newest} under a header of {revision}"
                );
                shown = revision;
                answered += 1;
            }
            Ok(Err(status)) => {
                ensure!(is_trouble(&status), "a read was answered {status:?}");
                (client, shown) = (Client::connect(&world.urls[gateway])?, 0);
            }
            Err(_) => (client, shown) = (Client::connect(&world.urls[gateway])?, 0),
        }
    }
    ensure!(answered > 50, "only {answered} reads were answered");
    Ok(())
}
