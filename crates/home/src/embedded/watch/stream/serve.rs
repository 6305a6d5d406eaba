//! From history to messages: what the watchers of a stream have not seen yet, piece by piece.

use meridian_etcd_api::etcdserverpb as pb;
use meridian_keyspace::{Change, Revision};

use super::WatchStream;
use crate::embedded::history::{self, Gone};

/// Messages that end a turn; one change may go beyond, to as many as there are watchers.
const OUTBOX_MESSAGES: usize = 1024;

impl WatchStream {
    /// Serves one piece of a watcher's past; then it is behind still, or served like the others.
    pub(super) fn serve_past(&mut self, id: i64, from: Revision) {
        let changes = match history::available(&self.node.published, from) {
            Ok(changes) => changes,
            Err(gone) => return self.cancel_compacted(id, gone),
        };
        let mut next = self.served.next();
        for change in &changes {
            if change.revision > self.served {
                break;
            }
            self.push_events(id, change);
            next = change.revision.next();
        }
        if next <= self.served && !changes.is_empty() {
            self.behind.push_front((id, next));
        } else if let Some(watcher) = self.watchers.get(&id) {
            self.index.insert(&watcher.range, id);
        }
    }

    /// Serves one piece of what is new to all.
    pub(super) fn serve_new(&mut self) {
        let changes = match history::available(&self.node.published, self.served.next()) {
            Ok(changes) => changes,
            Err(gone) => return self.skip_compacted(gone),
        };
        for change in &changes {
            let mut concerned = Vec::new();
            for event in &change.events {
                self.index
                    .matches(event.record.key(), &mut |id| concerned.push(id));
            }
            concerned.sort_unstable();
            concerned.dedup();
            for id in concerned {
                self.push_events(id, change);
            }
            self.served = change.revision;
            if self.outbox.len() >= OUTBOX_MESSAGES {
                return;
            }
        }
    }

    /// The stream was so slow that what it still has to send is gone.
    fn skip_compacted(&mut self, gone: Gone) {
        let lost: Vec<i64> = self
            .watchers
            .iter()
            .filter(|(_, watcher)| watcher.from.max(self.served.next()) < gone.compacted)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            self.cancel_compacted(id, gone);
        }
        self.served = self.served.max(gone.compacted.previous());
    }

    fn cancel_compacted(&mut self, id: i64, gone: Gone) {
        self.remove(id);
        let canceled = pb::WatchResponse {
            watch_id: id,
            canceled: true,
            compact_revision: gone.compacted.get(),
            ..Default::default()
        };
        // etcd gives this one message no revision.
        self.send(canceled, Revision::ZERO);
    }

    fn push_events(&mut self, id: i64, change: &Change) {
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        let events = watcher.events(change);
        if events.is_empty() {
            return;
        }
        watcher.was_busy = true;
        let header = self.node.header_at(change.revision);
        let response = pb::WatchResponse {
            header,
            watch_id: id,
            events,
            ..Default::default()
        };
        self.outbox.extend(watcher.messages(response));
    }
}
