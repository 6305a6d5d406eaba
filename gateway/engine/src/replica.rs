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
use tokio::time::timeout;

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

/// How long the home may take to say so: above the home's own bound on a call (10 s, and 3 s for a
/// read index), so that its error is seen rather than ours.
const AUTH_DEADLINE: Duration = Duration::from_secs(15);

/// How long the source may take to begin a snapshot, to send one more page of it, or to open the
/// log: twice a home's own bound on a page (25 s).
const SOURCE_DEADLINE: Duration = Duration::from_secs(50);

/// How long the log may stay silent while the home is known to be ahead of it, before it is
/// opened anew: the largest commit that etcd takes in its default limits (1.5 MiB) needs 12 s at
/// 1 Mbit/s. It is counted in whole halves. Tests have less time.
const SILENCE_HALF: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 8000 });

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

/// Which home a replica is of, counted by how often it was replaced.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    /// For the replica that is being built.
    replaced: u64,
    /// For the last one installed.
    last: u64,
}

/// Keeps a replica until the engine stops.
pub(crate) async fn run(engine: Arc<Engine>) {
    let stop = engine.tasks.token();
    let auth = watch_auth(&engine);
    let live = async {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        let mut origin = Origin::default();
        loop {
            origin.replaced = *engine.home_replaced.borrow();
            match bootstrap(&engine, origin).await {
                Ok(keyspace) => {
                    origin.last = origin.replaced;
                    let installed = keyspace.revision();
                    let why = follow(&engine, &keyspace, origin.replaced).await;
                    tracing::warn!(%why, "rebuilding the replica from a snapshot");
                    metrics::rebuild();
                    if keyspace.revision() > installed {
                        backoff.reset();
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot bootstrap the replica; trying again");
                    engine.leadership.set_bootstrap(None);
                    denied(&engine, &error);
                }
            }
            backoff.pause().await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = live => {}
        () = auth => {}
    }
}

/// Loads a snapshot and installs it, unless the home is replaced meanwhile.
async fn bootstrap(engine: &Arc<Engine>, origin: Origin) -> Result<Arc<SharedKeyspace>, FeedError> {
    let began = Instant::now();
    let mut snapshot = in_time(engine.feed.snapshot()).await??;
    let (revision, keys_total) = (snapshot.revision, snapshot.keys_total);
    let mut records = Vec::new();
    let mut told = began;
    while let Some(page) = in_time(snapshot.pages.next()).await? {
        records.extend(page?);
        if records.len() as u64 > keys_total {
            break;
        }
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
    if !install(engine, &keyspace, began, origin) {
        let text = "the home was replaced during its snapshot";
        return Err(FeedError::Unavailable(text.to_owned()));
    }
    engine.leadership.set_bootstrap(None);
    tracing::info!(%revision, keys = keys_total, took_ms = began.elapsed().as_millis() as u64,
        "the replica is complete");
    metrics::bootstrapped(began.elapsed());
    Ok(keyspace)
}

/// Puts a complete replica in place; its snapshot was taken after `began`, at or above the home's
/// linearizable revision then. One that is not the continuation of the last begins everything
/// anew. False if the home was replaced meanwhile.
fn install(
    engine: &Engine,
    keyspace: &Arc<SharedKeyspace>,
    began: Instant,
    origin: Origin,
) -> bool {
    let revision = keyspace.revision();
    let continues = origin.replaced == origin.last && revision >= engine.revision();
    if !continues {
        engine.begin_anew();
    }
    engine.freshness.lock().answered(began, revision);
    if !engine.install(keyspace, origin.replaced) {
        return false;
    }
    let compacted = Revision::new(engine.compacted.load(Ordering::SeqCst));
    keyspace.compact(compacted.min(revision));
    if continues {
        engine.watches.restart(revision);
    } else {
        engine.watches.begin_anew(revision);
    }
    applied(engine, keyspace, revision);
    engine.replica_installed.notify_one();
    true
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, FeedError> {
    let late = |_| FeedError::Unavailable("the source of the log does not answer".to_owned());
    timeout(SOURCE_DEADLINE, answer).await.map_err(late)
}

/// Tells everybody who waits that the replica stands at `revision`.
fn applied(engine: &Engine, keyspace: &SharedKeyspace, revision: Revision) {
    // A client's compaction takes effect here once everything below it is here.
    let compacted = Revision::new(engine.compacted.load(Ordering::SeqCst));
    if compacted == revision {
        keyspace.compact(compacted);
    }
    let mut freshness = engine.freshness.lock();
    freshness.applied(revision);
    engine.publish_freshness(&freshness);
    drop(freshness);
    engine.reached.load().set(revision.get());
    metrics::applied(revision);
}

/// Applies the log until the replica cannot go on from where it stands.
async fn follow(engine: &Arc<Engine>, keyspace: &Arc<SharedKeyspace>, replaced: u64) -> Rebuild {
    let mut replacements = engine.home_replaced.subscribe();
    let mut continuity = Continuity::at(keyspace.revision());
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    loop {
        let ended = tokio::select! {
            ended = follow_once(engine, keyspace, &mut continuity, &mut backoff) => ended,
            _ = replacements.wait_for(|times| *times != replaced) => return Rebuild::HomeReplaced,
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
    let mut batches = match in_time(engine.feed.follow(continuity.expected())).await {
        Ok(Ok(batches)) => batches,
        Ok(Err(error)) | Err(error) => return error,
    };
    metrics::log_opened();
    let mut owed = None;
    loop {
        let Ok(batch) = timeout(SILENCE_HALF, batches.next()).await else {
            match owed.replace(engine.freshness.lock().owed()) {
                Some(Some(revision)) => {
                    let text = format!("the log is silent short of revision {revision}");
                    return FeedError::Unavailable(text);
                }
                Some(None) | None => continue,
            }
        };
        owed = None;
        let Some(batch) = batch else { break };
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
                applied(engine, keyspace, revision);
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
        engine.forward_all();
    }
}

/// Lets the replica be shown only while the home says that authentication is off.
async fn watch_auth(engine: &Arc<Engine>) {
    loop {
        let asked_in = engine.auth_generation.load(Ordering::SeqCst);
        if let Ok(Some(enabled)) = timeout(AUTH_DEADLINE, ask_auth(engine)).await {
            engine.auth_is(enabled, asked_in);
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

/// Whether authentication is enabled, if the home tells. A member that lags may still say that it
/// is not, so the replica is opened only after a linearizable call without credentials was
/// accepted too; by then it is also known which cluster the home is.
async fn ask_auth(engine: &Engine) -> Option<bool> {
    if engine.home.auth_enabled().await.ok()? {
        return Some(true);
    }
    if engine.mode() == Mode::Local {
        return Some(false);
    }
    match engine.probes.join().await {
        Ok(_) => Some(false),
        Err(error) => error.means_auth_required().then_some(true),
    }
}
