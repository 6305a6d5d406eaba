//! The home's commits, and the changes of one range, from a watch each.
//!
//! Invariant: what comes out begins at the wanted revision, each revision whole and once; where
//! the whole keyspace is watched it is contiguous too, and the stream ends with an error rather
//! than leave one out. etcd never splits a revision over responses unless asked to, and it is not
//! asked to. Reopens nothing: the engine does, from its own position.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_etcd_api::etcdserverpb::WatchCreateRequest;
use meridian_keyspace::{Change, Commit, Event, KeyRange, Revision};
use tonic::Code;

use super::{
    pool::Pool,
    probe::LOWEST_KEY,
    version,
    watch::{HomeWatch, Progress},
    wire::WatchBatch,
};
use crate::{CallError, Commits, Fate, FollowError, RangeChanges, RangeProgress};

/// How often the watch of a range asks how far it has come: its reader waits for that to hand
/// itself over to a replica's history, so it is asked often, and not for long.
const PROGRESS_PAUSE: Duration = Duration::from_millis(200);

/// Every commit from `from` on.
pub(super) async fn follow(
    pool: &Pool,
    from: Revision,
    call_timeout: Duration,
) -> Result<Commits, FollowError> {
    let watch = HomeWatch::open(pool, everything(from), Progress::NotAsked, call_timeout).await?;
    let position = Position {
        due: from,
        gaps: Gaps::Forbidden,
    };
    Ok(stream::unfold(Some((watch, position)), |state| async {
        let (mut watch, mut position) = state?;
        loop {
            let batch = watch.next().await;
            match batch.and_then(|batch| position.groups(batch.events)) {
                Ok(groups) if groups.is_empty() => {}
                Ok(groups) => {
                    let commits = groups.into_iter().map(Group::into_commit).collect();
                    return Some((Ok(commits), Some((watch, position))));
                }
                Err(error) => return Some((Err(error), None)),
            }
        }
    })
    .boxed())
}

/// The changes of `range` from `from` on, and how far they are complete.
pub(super) async fn follow_range(
    pool: &Pool,
    range: KeyRange,
    from: Revision,
    call_timeout: Duration,
) -> Result<RangeChanges, FollowError> {
    let follower = if progress_is_trusted(pool) {
        let ask = Progress::Every(PROGRESS_PAUSE);
        let watch = HomeWatch::open(pool, one_range(&range, from), ask, call_timeout).await?;
        RangeFollower {
            watch,
            position: Position {
                due: from,
                gaps: Gaps::Allowed,
            },
            filter: None,
        }
    } else {
        let create = WatchCreateRequest {
            prev_kv: true,
            ..everything(from)
        };
        let watch = HomeWatch::open(pool, create, Progress::NotAsked, call_timeout).await?;
        let position = Position {
            due: from,
            gaps: Gaps::Forbidden,
        };
        RangeFollower {
            watch,
            position,
            filter: Some(range),
        }
    };
    Ok(stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Ok(progress) => Some((Ok(progress), Some(follower))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed())
}

/// Whether every member's progress answers hold what they say.
fn progress_is_trusted(pool: &Pool) -> bool {
    pool.endpoints().iter().all(|endpoint| {
        endpoint
            .version()
            .is_some_and(|(version, _)| version::progress_is_trusted(version))
    })
}

fn everything(from: Revision) -> WatchCreateRequest {
    WatchCreateRequest {
        key: Bytes::from_static(LOWEST_KEY),
        range_end: Bytes::from_static(LOWEST_KEY),
        start_revision: from.get(),
        ..Default::default()
    }
}

fn one_range(range: &KeyRange, from: Revision) -> WatchCreateRequest {
    let (key, range_end) = range.to_wire();
    let key = if key.is_empty() { LOWEST_KEY } else { key };
    WatchCreateRequest {
        key: Bytes::copy_from_slice(key),
        range_end: Bytes::copy_from_slice(range_end),
        start_revision: from.get(),
        prev_kv: true,
        ..Default::default()
    }
}

/// Follows one range, through a watch of it or of everything.
struct RangeFollower {
    watch: HomeWatch,
    position: Position,
    /// What to keep, if everything is watched.
    filter: Option<KeyRange>,
}

impl RangeFollower {
    async fn next(&mut self) -> Result<RangeProgress, FollowError> {
        loop {
            let batch = self.watch.next().await?;
            let before = self.position.due;
            let is_confirmation = batch.created;
            let changes = self.changes(batch)?;
            if is_confirmation || !changes.is_empty() || self.position.due > before {
                let complete_to = self.position.due.previous();
                return Ok(RangeProgress {
                    changes,
                    complete_to,
                });
            }
        }
    }

    fn changes(&mut self, batch: WatchBatch) -> Result<Vec<Change>, FollowError> {
        if self.filter.is_none() && batch.is_progress() {
            self.position.due = self.position.due.max(batch.facts.revision.next());
        }
        let groups = self.position.groups(batch.events)?;
        let filter = self.filter.as_ref();
        Ok(groups
            .into_iter()
            .filter_map(|group| group.into_change(filter))
            .collect())
    }
}

/// Where the reader of a watch stands.
struct Position {
    /// No revision below this one is owed.
    due: Revision,
    gaps: Gaps,
}

/// Whether revisions may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gaps {
    /// They may: only some keys are watched.
    Allowed,
    /// They may not: every revision changes some key.
    Forbidden,
}

/// The events of one revision.
struct Group {
    revision: Revision,
    events: Vec<Event>,
}

impl Position {
    /// The revisions among `events` that have not come before. etcd repeats revisions after some
    /// of its faults (issues 15271, 20221): a repetition is dropped, a gap is an error.
    fn groups(&mut self, events: Vec<Event>) -> Result<Vec<Group>, FollowError> {
        let mut groups: Vec<Group> = Vec::new();
        for event in events {
            let revision = event.record.mod_revision();
            match groups.last_mut() {
                Some(last) if last.revision == revision => last.events.push(event),
                Some(_) | None if revision < self.due => {}
                Some(_) | None => groups.push(self.begin(revision, event)?),
            }
        }
        Ok(groups)
    }

    fn begin(&mut self, revision: Revision, event: Event) -> Result<Group, FollowError> {
        if revision > self.due && self.gaps == Gaps::Forbidden {
            let text = format!("the home's watch skipped from {} to {revision}", self.due);
            return Err(CallError::new(Code::DataLoss, text, Fate::Refused).into());
        }
        self.due = revision.next();
        Ok(Group {
            revision,
            events: vec![event],
        })
    }
}

impl Group {
    fn into_commit(self) -> Commit {
        let records = self.events.into_iter().map(|event| event.record).collect();
        Commit {
            revision: self.revision,
            records,
        }
    }

    /// The change, of the range alone; none if it does not touch the range.
    fn into_change(mut self, filter: Option<&KeyRange>) -> Option<Change> {
        if let Some(range) = filter {
            self.events
                .retain(|event| range.contains(event.record.key()));
        }
        let events = self.events.into_boxed_slice();
        (!events.is_empty()).then_some(Change {
            revision: self.revision,
            events,
        })
    }
}

#[cfg(test)]
mod tests;
