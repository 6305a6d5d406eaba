//! A watcher that resumes as clients do, and what it saw.
//!
//! Invariant: what it notes is in the order in which it came, once for each time it came; a revision that
//! comes twice, out of order or in two parts ends it with that as its error.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::{WatchCreateRequest, WatchResponse},
    mvccpb::Event,
};
use prost::Message;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    client::Client,
    expect,
    wait::within,
    watching::{self, Watching},
};

/// A stream that has been silent so long is opened anew: longer than any fault holds one back.
const SILENCE: Duration = Duration::from_secs(6);

/// Between two tries to open a stream.
const AGAIN: Duration = Duration::from_millis(20);

/// How often a watcher looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// An event as it was seen: its revision, and a digest of all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The revision of the event.
    pub revision: i64,
    digest: u64,
}

impl Sighting {
    fn of(event: &Event) -> Self {
        let mut digest = DefaultHasher::new();
        event.encode_to_vec().hash(&mut digest);
        Self {
            revision: event.kv.as_ref().map_or(0, |kv| kv.mod_revision),
            digest: digest.finish(),
        }
    }
}

/// A watcher at work.
#[derive(Debug)]
pub struct Follower {
    /// Whom it watches.
    pub name: String,
    at: watch::Receiver<i64>,
    over: Arc<AtomicBool>,
    task: JoinHandle<Result<Vec<Sighting>>>,
}

impl Follower {
    /// Watches all keys that begin with `prefix` at `url`, from revision `from` on.
    #[must_use]
    pub fn start(name: &str, url: &str, prefix: &str, from: i64) -> Self {
        let (progress, at) = watch::channel(from - 1);
        let over = Arc::new(AtomicBool::new(false));
        let following = Following {
            url: url.to_owned(),
            prefix: Bytes::from(prefix.to_owned()),
            progress,
            over: over.clone(),
        };
        Self {
            name: name.to_owned(),
            at,
            over,
            task: tokio::spawn(following.follow()),
        }
    }

    /// The newest revision it has seen.
    #[must_use]
    pub fn at(&self) -> i64 {
        *self.at.borrow()
    }

    /// Waits until it has seen `revision`; when that was, at the latest.
    ///
    /// # Errors
    /// When it has not by the deadline, or has ended with an error.
    pub async fn sees(&self, revision: i64, deadline: Duration) -> Result<Instant> {
        let mut at = self.at.clone();
        let what = format!("{} sees revision {revision}", self.name);
        let seen = within(deadline, &what, at.wait_for(|at| *at >= revision)).await;
        let seen = seen.with_context(|| format!("it is at {}", self.at()))?;
        ensure!(seen.is_ok(), "{what}: its watcher has ended");
        Ok(Instant::now())
    }

    /// Ends it and gives what it saw.
    ///
    /// # Errors
    /// What went wrong with it.
    pub async fn end(self) -> Result<Vec<Sighting>> {
        self.over.store(true, Ordering::Relaxed);
        let ended = within(SILENCE * 2, "a watcher ends", self.task).await?;
        ended?.with_context(|| self.name)
    }

    /// Whether it has ended by itself, which is an error.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.task.is_finished()
    }
}

/// What really happened: all that the home itself shows of `prefix`, revisions `from` to `until`.
///
/// # Errors
/// When the home does not show it.
pub async fn truth(home: &Client, prefix: &str, from: i64, until: i64) -> Result<Vec<Sighting>> {
    let mut seen: Vec<Sighting> = Vec::new();
    let request = begin(&Bytes::from(prefix.to_owned()), from);
    let (mut watching, _) = Watching::start(home, request).await?;
    while seen.last().is_none_or(|last| last.revision < until) {
        note(&watching.batch().await?, &mut seen)?;
    }
    seen.retain(|sighting| sighting.revision <= until);
    Ok(seen)
}

/// What `name` saw, up to the last true revision, is what happened.
///
/// # Errors
/// The first difference.
pub fn compare(name: &str, seen: &[Sighting], truth: &[Sighting]) -> Result<()> {
    let until = truth.last().map_or(0, |last| last.revision);
    let mut seen = seen.iter().filter(|sighting| sighting.revision <= until);
    for happened in truth {
        match seen.next() {
            Some(sighting) if sighting == happened => {}
            Some(sighting) => bail!("{name} saw {sighting:?} where {happened:?} happened"),
            None => bail!("{name} did not see revision {}", happened.revision),
        }
    }
    let more = seen.count();
    ensure!(more == 0, "{name} saw {more} events that did not happen");
    Ok(())
}

fn begin(prefix: &Bytes, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        start_revision,
        prev_kv: true,
        ..watching::of_prefix(prefix)
    }
}

fn note(answer: &WatchResponse, seen: &mut Vec<Sighting>) -> Result<()> {
    ensure!(!answer.canceled, "cancelled: {answer:?}");
    let before = seen.last().map_or(0, |last| last.revision);
    let new: Vec<Sighting> = answer.events.iter().map(Sighting::of).collect();
    let in_order = new.is_sorted_by_key(|sighting| sighting.revision);
    ensure!(in_order, "out of order: {new:?}");
    if let (Some(first), Some(last)) = (new.first(), new.last()) {
        ensure!(first.revision > before, "{} after {before}", first.revision);
        let header = expect::revision(answer.header.as_ref())?;
        ensure!(
            header >= last.revision,
            "header {header} behind {}",
            last.revision
        );
    }
    seen.extend(new);
    Ok(())
}

struct Following {
    url: String,
    prefix: Bytes,
    progress: watch::Sender<i64>,
    over: Arc<AtomicBool>,
}

impl Following {
    async fn follow(self) -> Result<Vec<Sighting>> {
        let mut seen = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            let next = *self.progress.borrow() + 1;
            let client = Client::connect(&self.url)?;
            // A node that is away is tried again; one that is there must go on from `next`.
            match Watching::start(&client, begin(&self.prefix, next)).await {
                Ok((watching, _)) => self.take(watching, &mut seen).await?,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
        Ok(seen)
    }

    async fn take(&self, mut watching: Watching, seen: &mut Vec<Sighting>) -> Result<()> {
        let mut heard = Instant::now();
        while !self.over.load(Ordering::Relaxed) && heard.elapsed() < SILENCE {
            match tokio::time::timeout(LOOK_EVERY, watching.stream.next_within(SILENCE)).await {
                Ok(Ok(answer)) => {
                    note(&answer, seen)?;
                    heard = Instant::now();
                    if let Some(last) = seen.last() {
                        self.progress.send_replace(last.revision);
                    }
                }
                // Ended, as when its node is killed.
                Ok(Err(_)) => return Ok(()),
                Err(_) => {}
            }
        }
        Ok(())
    }
}
