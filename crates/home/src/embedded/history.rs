//! Reading the published changes in order: for followers, watches and observers.
//!
//! Invariant: what is handed out is contiguous from the asked revision on, in bounded pieces, and
//! a reader that is behind a compaction is told so.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use meridian_keyspace::{Change, Commit, Event, KeyRange, Revision};

use super::{disk::FIRST_REVISION, node::Node, pages::Pages, published::Published, refuse};
use crate::{CallError, Commits, FollowError, RangeChanges, RangeProgress, Snapshot};

/// One piece at most, unless a single change is larger: some 100 microseconds under the read lock
/// and a few MiB in flight per reader.
const PIECE_CHANGES: usize = 256;
const PIECE_BYTES: usize = 1 << 20;

/// The history wanted was compacted up to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    pub(super) compacted: Revision,
}

impl From<Gone> for FollowError {
    fn from(gone: Gone) -> Self {
        Self::Compacted {
            compacted: gone.compacted,
        }
    }
}

/// The changes from `from` on that are there now.
pub(super) fn available(published: &Published, from: Revision) -> Result<Vec<Arc<Change>>, Gone> {
    published.keyspace.read(|keyspace| {
        let compacted = keyspace.compacted();
        let from_change = from.max(Revision::new(FIRST_REVISION).next());
        if from < compacted || from_change < keyspace.first_change() {
            return Err(Gone { compacted });
        }
        let mut bytes = 0;
        let piece = keyspace
            .changes(from_change)
            .take(PIECE_CHANGES)
            .take_while(|change| {
                let room = bytes == 0 || bytes + change.bytes() <= PIECE_BYTES;
                bytes += change.bytes();
                room
            });
        Ok(piece.cloned().collect())
    })
}

/// The changes from `from` on, waiting until there is one.
pub(super) async fn next(published: &Published, from: Revision) -> Result<Vec<Arc<Change>>, Gone> {
    loop {
        let changes = available(published, from)?;
        if !changes.is_empty() {
            return Ok(changes);
        }
        published
            .wait_for(from.max(published.keyspace.revision().next()))
            .await;
    }
}

/// Every commit from `from` on.
pub(super) fn follow(node: &Arc<Node>, from: Revision) -> Result<Commits, FollowError> {
    available(&node.published, from)?;
    let pieces = pieces(node, from, |changes| {
        changes
            .iter()
            .map(|change| commit_of(change))
            .collect::<Vec<Commit>>()
    });
    Ok(pieces.boxed())
}

/// The changes of one range from `from` on.
pub(super) fn follow_range(
    node: &Arc<Node>,
    range: KeyRange,
    from: Revision,
) -> Result<RangeChanges, FollowError> {
    available(&node.published, from)?;
    let pieces = pieces(node, from, move |changes| RangeProgress {
        complete_to: changes.last().expect("a piece is not empty").revision,
        changes: changes
            .iter()
            .filter_map(|change| within(change, &range))
            .collect(),
    });
    Ok(pieces.boxed())
}

fn pieces<T: Send + 'static>(
    node: &Arc<Node>,
    from: Revision,
    piece: impl Fn(Vec<Arc<Change>>) -> T + Send + 'static,
) -> impl futures_core::Stream<Item = Result<T, FollowError>> + Send + 'static {
    let node = Arc::clone(node);
    stream::unfold(Some((node, from, piece)), |state| async move {
        let (node, from, piece) = state?;
        match next(&node.published, from).await {
            Ok(changes) => {
                let from = changes
                    .last()
                    .expect("a piece is not empty")
                    .revision
                    .next();
                let item = piece(changes);
                Some((Ok(item), Some((node, from, piece))))
            }
            Err(gone) => Some((Err(gone.into()), None)),
        }
    })
}

fn commit_of(change: &Change) -> Commit {
    let records = change
        .events
        .iter()
        .map(|event| event.record.clone())
        .collect();
    Commit {
        revision: change.revision,
        records,
    }
}

/// The events of a change in one range; none if it has none there.
fn within(change: &Change, range: &KeyRange) -> Option<Change> {
    let events: Box<[Event]> = change
        .events
        .iter()
        .filter(|event| range.contains(event.record.key()))
        .cloned()
        .collect();
    (!events.is_empty()).then_some(Change {
        revision: change.revision,
        events,
    })
}

/// The whole keyspace as of now.
pub(super) fn snapshot(node: &Arc<Node>) -> Result<Snapshot, CallError> {
    let keyspace = &node.published.keyspace;
    let refused = |error| refuse::with(refuse::read(error));
    // The number of keys is that of the pages' revision: retried while a commit comes between.
    let (pages, keys_total) = loop {
        let (before, keys) = keyspace.read(|keyspace| (keyspace.revision(), keyspace.len()));
        let pages = Pages::all(keyspace).map_err(refused)?;
        if pages.revision() == before {
            break (pages, keys as u64);
        }
    };
    let facts = node.published.facts_at(pages.revision());
    let pages = stream::unfold(Some(pages), |pages| async move {
        let mut pages = pages?;
        let (records, answer) = pages.next();
        tokio::task::yield_now().await;
        Some((records, answer.is_none().then_some(pages)))
    });
    let pages = pages.filter(|records| std::future::ready(!records.is_empty()));
    Ok(Snapshot {
        facts,
        keys_total,
        pages: pages.map(Ok).boxed(),
    })
}
