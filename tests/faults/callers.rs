//! Callers through the nodes: each writes keys of its own, one after the other, each key once, and reads
//! what it wrote through another node.
//!
//! A write with an unknown outcome is not repeated by the caller, so a key with a second version was
//! written twice by the link.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use meridian_tests::{ask, client::Client, expect, regions::Regions, wait::within};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::fault::home_may_be_deceived;

/// Between two writes of one caller.
const EVERY: Duration = Duration::from_millis(40);

/// A caller's patience; a frozen node answers nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// Callers at work.
#[derive(Debug)]
pub(crate) struct Callers {
    over: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Result<Done>>>,
}

/// What one caller was told.
#[derive(Debug)]
struct Done {
    name: usize,
    /// The revision of each acknowledged write; none where the outcome is unknown or it was refused.
    told: Vec<Option<i64>>,
    reads: usize,
}

/// One caller on each node, which reads at the next one.
pub(crate) fn start(regions: &Regions) -> Result<Callers> {
    let over = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for (name, node) in regions.nodes.iter().enumerate() {
        let other = &regions.nodes[(name + 1) % regions.nodes.len()];
        let (write, read) = (node.connect()?, other.connect()?);
        tasks.push(tokio::spawn(call(name, write, read, over.clone())));
    }
    Ok(Callers { over, tasks })
}

fn key(name: usize, turn: usize) -> String {
    format!("via/{name}/{turn:06}")
}

async fn call(name: usize, write: Client, read: Client, over: Arc<AtomicBool>) -> Result<Done> {
    let mut done = Done {
        name,
        told: Vec::new(),
        reads: 0,
    };
    while !over.load(Ordering::Relaxed) {
        let key = key(name, done.told.len());
        let put = write.put(ask::put(key.clone(), "once"));
        let revision = match tokio::time::timeout(PATIENCE, put).await {
            Ok(Ok(answer)) => Some(expect::revision(answer.header.as_ref())?),
            Ok(Err(status)) => {
                let usual = [Code::Unavailable, Code::DeadlineExceeded, Code::Unknown];
                // What a client sees when its node is killed, too.
                ensure!(
                    usual.contains(&status.code()) || status.code() == Code::Cancelled,
                    "{key} refused with {status:?}"
                );
                None
            }
            Err(_) => None,
        };
        done.told.push(revision);
        if let Some(revision) = revision {
            done.reads += usize::from(seen(&read, &key, revision).await?);
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(done)
}

/// A linearizable read elsewhere sees what was acknowledged; whether it was answered.
async fn seen(read: &Client, key: &str, revision: i64) -> Result<bool> {
    let range = read.range(ask::get(key.to_owned()));
    let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, range).await else {
        return Ok(false);
    };
    let kv = answer.kvs.first();
    if kv.is_none() && home_may_be_deceived() {
        return Ok(false);
    }
    let kv = kv.with_context(|| format!("{key} of revision {revision} is not there"))?;
    ensure!(kv.mod_revision == revision, "{key}: {kv:?}, not {revision}");
    Ok(true)
}

/// No write was made twice, and each that was acknowledged was made.
pub(crate) async fn judge(regions: &Regions, callers: Callers) -> Result<()> {
    callers.over.store(true, Ordering::Relaxed);
    let home = regions.home()?;
    for task in callers.tasks {
        let done = within(PATIENCE * 4, "a caller ends", task).await???;
        let prefix = format!("via/{}/", done.name);
        let answer = home.range(ask::list(&prefix.into())).await?;
        let made: std::collections::HashMap<_, _> = answer
            .kvs
            .iter()
            .map(|kv| (String::from_utf8_lossy(&kv.key).into_owned(), kv))
            .collect();
        for (turn, told) in done.told.iter().enumerate() {
            let key = key(done.name, turn);
            let kv = made.get(&key);
            ensure!(
                kv.is_none_or(|kv| kv.version == 1),
                "{key} was written twice: {kv:?}"
            );
            if let Some(revision) = told {
                let kv = kv.with_context(|| format!("{key} was acknowledged and is not there"))?;
                expect::same(&key, kv.mod_revision, *revision)?;
            }
        }
        let unknown = done.told.iter().filter(|told| told.is_none()).count();
        println!(
            "caller {}: {} writes, {unknown} not acknowledged, {} reads elsewhere",
            done.name,
            done.told.len(),
            done.reads
        );
    }
    Ok(())
}
