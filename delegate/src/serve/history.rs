//! What came before the window, coded for one reader: from the replica's history, and at a hub from
//! the home's.
//!
//! Invariant: batches are contiguous from the revision asked for; the end, or an error, comes only
//! between batches.

use futures_util::StreamExt;
use meridian_home::{Commits, FollowError};
use meridian_keyspace::{Commit, Revision};
use meridian_revlog::{Batch, Encoder, FeedError, GroupId, batch_commits};

use super::Station;
use crate::{metrics, relay::READABLE_BYTES_MAX, replica};

/// Reads on from one revision, which the window does not reach back to.
pub(super) struct History<'s> {
    station: &'s Station,
    encoder: Encoder,
    due: Revision,
    home: Option<Commits>,
}

impl<'s> History<'s> {
    pub(super) fn new(station: &'s Station, from: Revision) -> Self {
        // Groups that are made for one reader have a number of their own.
        let group = GroupId::new(fastrand::u64(..));
        Self {
            station,
            encoder: Encoder::new(station.encoder, group),
            due: from,
            home: None,
        }
    }

    /// The next batches; none when there is nothing after them here yet.
    pub(super) async fn next(&mut self) -> Result<Vec<Batch>, FeedError> {
        if self.home.is_none()
            && let Some(replica) = self.station.replica.replica()
            && self.station.relay.at().is_some()
            && let Some(commits) = replica::history(&replica, self.due)
        {
            metrics::history_from("replica");
            return self.encode(&commits);
        }
        let Some(home) = &self.station.home else {
            // The home may have it still, which only a hub can tell.
            return Err(FeedError::Unavailable(format!(
                "revision {} is not here any more; ask a hub",
                self.due
            )));
        };
        let commits = match &mut self.home {
            Some(commits) => commits,
            none => {
                metrics::history_from("home");
                none.insert(home.follow(self.due).await.map_err(failed)?)
            }
        };
        match commits.next().await {
            Some(commits) => {
                let commits = commits.map_err(failed)?;
                self.encode(&commits)
            }
            None => Err(FeedError::Unavailable("the home's log ended".to_owned())),
        }
    }

    /// Codes what is due of these commits as batches of a bounded size. What no reader would take
    /// counts as gone, once it is next.
    fn encode(&mut self, commits: &[Commit]) -> Result<Vec<Batch>, FeedError> {
        let mut fresh = &commits[commits.partition_point(|commit| commit.revision < self.due)..];
        let mut batches = Vec::new();
        while !fresh.is_empty() {
            let (next, rest) = fresh.split_at(batch_commits(fresh));
            let batch = self.encoder.encode(next);
            if batch.raw_len() > READABLE_BYTES_MAX {
                self.encoder.restart();
                if batches.is_empty() {
                    let compacted = batch.last();
                    return Err(FeedError::Compacted { compacted });
                }
                break;
            }
            self.due = batch.last().next();
            batches.push(batch);
            fresh = rest;
        }
        if !fresh.is_empty() {
            // The home's stream has brought what was left out; it would not bring it again.
            self.home = None;
        }
        Ok(batches)
    }
}

fn failed(error: FollowError) -> FeedError {
    match error {
        FollowError::Compacted { compacted } => FeedError::Compacted { compacted },
        FollowError::Call(error) => FeedError::Unavailable(error.message),
    }
}
