//! Observing an election: every leader from now on, and what each proclaims.
//!
//! Not every proclamation of the past, but from the first answer on each in order. The stream ends
//! without an error if the history it needs is compacted, as etcd's does.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::stream::unfold;
use meridian_etcd_api::v3electionpb as epb;
use meridian_keyspace::{Change, KeyRange, Record, Revision};

use super::super::{
    history,
    node::{Node, decode, encode},
    queue, wire,
};
use crate::{CallError, Replies};

pub(in super::super) fn observe(node: &Arc<Node>, message: Bytes) -> Result<Replies, CallError> {
    let request: epb::LeaderRequest = decode(message)?;
    let observer = Observer {
        node: Arc::clone(node),
        candidates: queue::prefix(&request.name),
        sight: Sight::Unknown,
        seen: VecDeque::new(),
    };
    Ok(wire::replies(unfold(
        Some(observer),
        |observer| async move {
            let mut observer = observer?;
            match observer.next().await {
                Ok(Some(message)) => Some((Ok(message), Some(observer))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        },
    )))
}

struct Observer {
    node: Arc<Node>,
    candidates: KeyRange,
    sight: Sight,
    /// Records to tell, each with the revision of its header.
    seen: VecDeque<(Revision, Record)>,
}

/// What the observer looks at next.
enum Sight {
    /// Who leads.
    Unknown,
    /// The first candidate to come, from a revision on.
    Nobody(Revision),
    /// A leader's key, from a revision on.
    Leader(Bytes, Revision),
}

impl Observer {
    async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            if let Some((revision, record)) = self.seen.pop_front() {
                let kv = Some(wire::key_value(&record, false));
                let header = self.node.header_at(revision);
                return Ok(Some(encode(&epb::LeaderResponse { header, kv })));
            }
            self.sight = match std::mem::replace(&mut self.sight, Sight::Unknown) {
                Sight::Unknown => self.look().await?,
                Sight::Nobody(from) => {
                    let Ok(changes) = history::next(&self.node.published, from).await else {
                        return Ok(None);
                    };
                    self.find_first(&changes)
                }
                Sight::Leader(key, from) => {
                    let Ok(changes) = history::next(&self.node.published, from).await else {
                        return Ok(None);
                    };
                    self.read_leader(key, &changes)
                }
            };
        }
    }

    async fn look(&mut self) -> Result<Sight, CallError> {
        // Taken first, so that no change between the two is missed.
        let revision = self.node.published.keyspace.revision();
        let Some(holder) = queue::holder(&self.node, &self.candidates).await? else {
            return Ok(Sight::Nobody(revision.next()));
        };
        let revision = revision.max(holder.mod_revision());
        Ok(self.found(holder, revision))
    }

    fn found(&mut self, leader: Record, revision: Revision) -> Sight {
        let key = Bytes::copy_from_slice(leader.key());
        self.seen.push_back((revision, leader));
        Sight::Leader(key, revision.next())
    }

    fn find_first(&mut self, changes: &[Arc<Change>]) -> Sight {
        for change in changes {
            let put = change.events.iter().find(|event| {
                !event.record.is_tombstone() && self.candidates.contains(event.record.key())
            });
            if let Some(put) = put {
                return self.found(put.record.clone(), change.revision);
            }
        }
        Sight::Nobody(last(changes).next())
    }

    fn read_leader(&mut self, key: Bytes, changes: &[Arc<Change>]) -> Sight {
        for change in changes {
            for event in change
                .events
                .iter()
                .filter(|event| event.record.key() == &key[..])
            {
                if event.record.is_tombstone() {
                    return Sight::Unknown;
                }
                self.seen.push_back((change.revision, event.record.clone()));
            }
        }
        Sight::Leader(key, last(changes).next())
    }
}

fn last(changes: &[Arc<Change>]) -> Revision {
    changes
        .last()
        .expect("history comes in pieces that are not empty")
        .revision
}
