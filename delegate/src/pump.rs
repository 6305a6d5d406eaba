//! The hub's source: one watch over the home's whole keyspace, each batch coded once for everybody.
//!
//! Invariant: what enters the relay is contiguous; after a fault the pump goes on at the revision
//! that is due, and begins anew only if the home has compacted it away or is another home. Batching
//! is natural: what arrived while the last batch was coded makes the next one, and an idle pump
//! adds no delay. It does not know who reads.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use meridian_home::{CallError, FollowError, Home};
use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{
    Continuity, Encoder, EncoderConfig, Epoch, GroupId, Position, Verdict, batch_commits,
};
use meridian_runtime::Backoff;
use tokio::{sync::Notify, time::timeout};

use crate::{
    metrics,
    relay::{Lineage, READABLE_BYTES_MAX, Relay},
};

/// Backoff between attempts to reach the home.
const RETRY_FIRST: Duration = Duration::from_millis(25);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How long the home may take to answer a read index or to open the log: above its own bounds
/// (3 s and 10 s), so that its error is seen rather than ours.
const HOME_DEADLINE: Duration = Duration::from_secs(12);

/// How long the home's log may stay silent before the home is asked whether it is ahead; if it is, and
/// the log stays silent for as long again, it is opened anew: a member that is cut off from its
/// cluster keeps its streams. Doubles each time it was in vain, for a gigantic revision takes long
/// too: the largest that etcd takes in its default limits 4 s at 1 Mbit/s. Tests have less time.
const SILENCE: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 2000 });
const SILENCE_MAX: Duration = Duration::from_secs(32);

/// Commits put into one batch: with records of a kilobyte some 4 MiB, which is one group.
const BATCH_COMMITS_MAX: usize = 4096;

/// Keeps a relay filled from a home.
pub(crate) struct Pump {
    home: Arc<dyn Home>,
    relay: Arc<Relay>,
    encoder: Encoder,
    /// Told when the home turned out to be another one.
    replaced: Arc<Notify>,
    silence: Duration,
}

/// Why following ended.
enum Ended {
    /// Go on from where the relay stands.
    Again(String),
    /// What is due cannot be had any more.
    Anew(String),
}

impl Pump {
    pub(crate) fn new(
        home: Arc<dyn Home>,
        relay: Arc<Relay>,
        config: EncoderConfig,
        replaced: Arc<Notify>,
    ) -> Self {
        Self {
            home,
            relay,
            // Another hub, or this one after a restart, codes its own groups: the number tells
            // them apart, so it must not come again.
            encoder: Encoder::new(config, GroupId::new(fastrand::u64(..))),
            replaced,
            silence: SILENCE,
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
        let replaced = Arc::clone(&self.replaced);
        loop {
            let ended = tokio::select! {
                ended = self.pump(&mut backoff) => ended,
                () = replaced.notified() => Ended::Anew("the home was replaced".to_owned()),
            };
            // The context of the last group ended with a batch that may never be pushed.
            self.encoder.restart();
            match ended {
                Ended::Again(why) => {
                    tracing::info!(%why, at = ?self.relay.at(), "the home's log broke off; resuming");
                }
                Ended::Anew(why) => {
                    tracing::warn!(%why, at = ?self.relay.at(), "the log begins anew");
                    metrics::log_begun_anew();
                    self.relay.reset();
                }
            }
            backoff.pause().await;
        }
    }

    async fn pump(&mut self, backoff: &mut Backoff) -> Ended {
        let due = match self.begin().await {
            Ok(due) => due,
            Err(error) => return Ended::Again(error.to_string()),
        };
        let opened = timeout(HOME_DEADLINE, self.home.follow(due)).await;
        let mut commits = match opened {
            Ok(Ok(commits)) => commits,
            Ok(Err(error)) => return ended(error),
            Err(_) => return Ended::Again("the home does not open its log".to_owned()),
        };
        let mut continuity = Continuity::at(due.previous());
        loop {
            let next = match self.unless_silent(commits.next()).await {
                Ok(next) => next,
                Err(ended) => return ended,
            };
            let mut arrived = match next {
                Some(Ok(arrived)) => arrived,
                Some(Err(error)) => return ended(error),
                None => return log_ended(),
            };
            backoff.reset();
            self.silence = SILENCE;
            // What else is here already goes along; what comes after it is seen in the next round.
            let mut failed = None;
            while arrived.len() < BATCH_COMMITS_MAX {
                match commits.next().now_or_never() {
                    Some(Some(Ok(more))) => arrived.extend(more),
                    Some(Some(Err(error))) => {
                        failed = Some(ended(error));
                        break;
                    }
                    Some(None) => {
                        failed = Some(log_ended());
                        break;
                    }
                    None => break,
                }
            }
            if let Err(ended) = self.push(&mut continuity, arrived) {
                return ended;
            }
            if let Some(failed) = failed {
                return failed;
            }
        }
    }

    /// What comes next, unless nothing comes though the home is ahead.
    async fn unless_silent<T>(&mut self, next: impl Future<Output = T>) -> Result<T, Ended> {
        let mut next = pin!(next);
        let mut owed = None;
        loop {
            if let Ok(next) = timeout(self.silence, &mut next).await {
                return Ok(next);
            }
            if let Some(revision) = owed {
                self.silence = (self.silence * 2).min(SILENCE_MAX);
                let why = format!("the home's log is silent short of revision {revision}");
                return Err(Ended::Again(why));
            }
            // No answer says nothing of the log.
            if let Ok(Ok(facts)) = timeout(HOME_DEADLINE, self.home.read_index()).await {
                let at = self.relay.at().map(|at| at.revision);
                owed = Some(facts.revision).filter(|revision| Some(*revision) > at);
            }
        }
    }

    /// The revision that is due; an empty relay is positioned at the home's current one.
    async fn begin(&self) -> Result<Revision, CallError> {
        if let Some(position) = self.relay.at() {
            return Ok(position.revision.next());
        }
        let facts = match timeout(HOME_DEADLINE, self.home.read_index()).await {
            Ok(facts) => facts?,
            Err(_) => return Err(no_answer()),
        };
        let position = Position {
            epoch: Epoch::ZERO,
            revision: facts.revision,
        };
        let lineage = Lineage(facts.cluster_id);
        self.relay.position(lineage, position);
        tracing::info!(revision = %facts.revision, cluster = format!("{:x}", lineage.0),
            "the log begins here");
        Ok(facts.revision.next())
    }

    fn push(&mut self, continuity: &mut Continuity, arrived: Vec<Commit>) -> Result<(), Ended> {
        let mut fresh = Vec::with_capacity(arrived.len());
        for commit in arrived {
            match continuity.admit(commit.revision) {
                Ok(Verdict::Next) => fresh.push(commit),
                Ok(Verdict::Duplicate) => {}
                Err(gap) => return Err(Ended::Again(gap.to_string())),
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        while !fresh.is_empty() {
            let rest = fresh.split_off(batch_commits(&fresh));
            if self.relay.take_join() {
                self.encoder.restart();
            }
            let batch = self.encoder.encode(&fresh);
            if batch.raw_len() > READABLE_BYTES_MAX {
                let bytes = batch.raw_len();
                return Err(Ended::Anew(format!(
                    "revision {} has {bytes} bytes, which nobody reads; nodes need a snapshot",
                    batch.first()
                )));
            }
            metrics::coded(batch.events(), batch.raw_len(), batch.frame().len() as u64);
            let pushed = self.relay.push(batch, Some(fresh.into()));
            pushed.map_err(|error| {
                Ended::Again(format!("the relay does not take its own batch: {error}"))
            })?;
            fresh = rest;
        }
        Ok(())
    }
}

fn ended(error: FollowError) -> Ended {
    match error {
        FollowError::Compacted { compacted } => Ended::Anew(format!(
            "the home has compacted its history up to revision {compacted}"
        )),
        FollowError::Call(error) => Ended::Again(error.to_string()),
    }
}

fn log_ended() -> Ended {
    Ended::Again("the log ended".to_owned())
}

fn no_answer() -> CallError {
    CallError::new(
        tonic::Code::Unavailable,
        "the home does not answer a read index",
        meridian_home::Fate::Unknown,
    )
}

#[cfg(test)]
mod tests;
