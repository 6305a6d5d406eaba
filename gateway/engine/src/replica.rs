//! The replica's life: bootstrap, follow, mend, rebuild; and when it may be shown.
//!
//! Invariant: a replica is installed only when every page of its snapshot has arrived, and applies
//! whole revisions in order. The old one goes on serving while a new one is built.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use meridian_keyspace::{Commit, Keyspace, Revision, SharedKeyspace};
use meridian_revlog::{Continuity, FeedError, Verdict};
use meridian_runtime::Backoff;

use crate::{Engine, Mode, metrics, status::BootstrapProgress};

/// Backoff between attempts to reach the source of the log.
const RETRY_FIRST: Duration = Duration::from_millis(25);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How often a bootstrap tells how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// How often the home is asked whether authentication is enabled while the replica serves (a
/// probe that is refused says so at once; this finds it where our own certificate is accepted),
/// and while it does not.
const AUTH_ASKED_EVERY: Duration = Duration::from_secs(5);
const AUTH_ASKED_SOON: Duration = Duration::from_millis(500);

/// Revisions applied before others get a turn.
const APPLY_TURN: usize = 256;

/// Why a replica has to be built anew.
#[derive(Debug, thiserror::Error)]
enum Rebuild {
    #[error("the home has compacted its history up to {0}, past where the replica stood")]
    Compacted(Revision),
    #[error("the home is another cluster or went back in time")]
    HomeReplaced,
}

/// Keeps a replica until the engine stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    let stop = engine.tasks.token();
    let auth = watch_auth(&engine);
    let live = async {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        loop {
            match bootstrap(&engine).await {
                Ok(keyspace) => {
                    backoff.reset();
                    let why = follow(&engine, &keyspace).await;
                    tracing::warn!(%why, "rebuilding the replica from a snapshot");
                    metrics::rebuild();
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot bootstrap the replica; trying again");
                    denied(&engine, &error);
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = live => {}
        () = auth => {}
    }
}

/// Loads a snapshot and installs it.
async fn bootstrap(engine: &Arc<Engine>) -> Result<Arc<SharedKeyspace>, FeedError> {
    let began = Instant::now();
    let mut snapshot = engine.feed.snapshot().await?;
    let (revision, keys_total) = (snapshot.revision, snapshot.keys_total);
    let mut records = Vec::new();
    let mut told = began;
    while let Some(page) = snapshot.pages.next().await {
        records.extend(page?);
        let progress = BootstrapProgress {
            keys_done: records.len() as u64,
            keys_total,
        };
        engine.leadership.set_bootstrap(Some(progress));
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            tracing::info!(
                keys_done = progress.keys_done,
                keys_total,
                keys_per_second =
                    (progress.keys_done as f64 / began.elapsed().as_secs_f64()) as u64,
                "bootstrapping the replica"
            );
        }
    }
    if records.len() as u64 != keys_total {
        let have = records.len();
        let text = format!("the snapshot at revision {revision} has {have} of {keys_total} keys");
        return Err(FeedError::Unavailable(text));
    }
    let limits = engine.config.history;
    let built = tokio::task::spawn_blocking(move || Keyspace::restore(limits, revision, records));
    let keyspace = built
        .await
        .map_err(|e| FeedError::Unavailable(e.to_string()))?;
    let keyspace = Arc::new(SharedKeyspace::new(keyspace));
    install(engine, &keyspace, began);
    engine.leadership.set_bootstrap(None);
    tracing::info!(%revision, keys = keys_total, took_ms = began.elapsed().as_millis() as u64,
        "the replica is complete");
    metrics::bootstrapped(began.elapsed());
    Ok(keyspace)
}

/// Puts a complete replica in place; its snapshot was taken after `began`, at or above the home's
/// linearizable revision then.
fn install(engine: &Engine, keyspace: &Arc<SharedKeyspace>, began: Instant) {
    let revision = keyspace.revision();
    engine.freshness.lock().answered(began, revision);
    let compacted = Revision::new(engine.compacted.load(Ordering::Relaxed));
    keyspace.compact(compacted.min(revision));
    engine.replica.store(Some(Arc::clone(keyspace)));
    engine.watches.restart(revision);
    applied(engine, revision);
    engine.replica_installed.notify_one();
}

/// Tells everybody who waits that the replica stands at `revision`.
fn applied(engine: &Engine, revision: Revision) {
    let mut freshness = engine.freshness.lock();
    freshness.applied(revision);
    engine.publish_freshness(&freshness);
    drop(freshness);
    engine.reached.set(revision.get());
    metrics::applied(revision);
}

/// Applies the log until the replica cannot go on from where it stands.
async fn follow(engine: &Arc<Engine>, keyspace: &Arc<SharedKeyspace>) -> Rebuild {
    let mut continuity = Continuity::at(keyspace.revision());
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    loop {
        let ended = tokio::select! {
            ended = follow_once(engine, keyspace, &mut continuity, &mut backoff) => ended,
            () = engine.home_replaced.notified() => return Rebuild::HomeReplaced,
        };
        match ended {
            FeedError::Compacted { compacted } => return Rebuild::Compacted(compacted),
            error => {
                tracing::info!(error = %error, from = %continuity.expected(),
                    "the log broke off; resuming");
                denied(engine, &error);
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

async fn follow_once(
    engine: &Arc<Engine>,
    keyspace: &Arc<SharedKeyspace>,
    continuity: &mut Continuity,
    backoff: &mut Backoff,
) -> FeedError {
    let mut batches = match engine.feed.follow(continuity.expected()).await {
        Ok(batches) => batches,
        Err(error) => return error,
    };
    metrics::log_opened();
    while let Some(batch) = batches.next().await {
        match batch {
            Ok(commits) => {
                backoff.reset();
                if let Err(gap) = apply(engine, keyspace, continuity, commits).await {
                    metrics::gap();
                    return FeedError::Unavailable(gap);
                }
            }
            Err(error) => return error,
        }
    }
    FeedError::Unavailable("the log ended".to_owned())
}

/// Applies a batch; a gap is mended by following anew from the revision that is due.
async fn apply(
    engine: &Engine,
    keyspace: &SharedKeyspace,
    continuity: &mut Continuity,
    commits: Vec<Commit>,
) -> Result<(), String> {
    for (n, commit) in commits.into_iter().enumerate() {
        match continuity.admit(commit.revision) {
            Ok(Verdict::Duplicate) => metrics::duplicate(),
            Err(gap) => return Err(gap.to_string()),
            Ok(Verdict::Next) => {
                let revision = commit.revision;
                let change = keyspace
                    .apply(commit)
                    .expect("continuity admits the next revision");
                engine.watches.dispatch(&change);
                applied(engine, revision);
            }
        }
        if n % APPLY_TURN == APPLY_TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn denied(engine: &Engine, error: &FeedError) {
    if matches!(error, FeedError::Denied(_)) {
        engine.set_mode(Mode::Forwarding);
    }
}

/// Lets the replica be shown only while the home says that authentication is off.
async fn watch_auth(engine: &Arc<Engine>) {
    loop {
        let asked_in = engine.auth_generation.load(Ordering::SeqCst);
        if let Ok(enabled) = engine.home.auth_enabled().await
            && engine.auth_generation.load(Ordering::SeqCst) == asked_in
        {
            engine.set_mode(match (enabled, engine.replica.load().is_some()) {
                (true, _) => Mode::Forwarding,
                (false, true) => Mode::Local,
                (false, false) => Mode::Starting,
            });
        }
        let mode = engine.mode();
        let pause = if mode == Mode::Local {
            AUTH_ASKED_EVERY
        } else {
            AUTH_ASKED_SOON
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = engine.replica_installed.notified() => {}
            _ = engine.mode_left(mode) => {}
        }
    }
}
