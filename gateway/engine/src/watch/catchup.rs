//! Rereading history for a watcher that is behind: one bounded piece at a time.

use std::sync::Arc;

use meridian_keyspace::{Change, Keyspace, Revision};

use super::{
    Cancellation, Delivery, Pick, Watches,
    hub::{Arrears, Slot},
    stream::StreamQueue,
    upstream,
};

/// Revisions looked at in one piece, under the replica's read lock: some 50 µs.
const SCAN_REVISIONS: usize = 1000;

/// Bytes of matching changes in one piece; a single larger revision still goes out whole.
const PIECE_BYTES: usize = 512 << 10;

/// What history had.
enum Piece {
    /// Matching changes, and the revision to go on from.
    Read {
        changes: Vec<Arc<Change>>,
        next: Revision,
    },
    /// The wanted revisions are compacted, by the word of a client.
    Compacted(Revision),
    /// They are older than the window, but the home may have them.
    Older,
}

/// Reads the next piece for a lagging watcher.
pub(super) fn step(
    watches: &Watches,
    queue: &Arc<StreamQueue>,
    slot: Slot,
    out: &mut Vec<Delivery>,
) {
    let Some(Arrears { id, pick, next }) = watches.hub().arrears(slot, queue) else {
        return;
    };
    let Some(replica) = watches.engine().replica.load_full() else {
        return;
    };
    match replica.read(|keyspace| read_piece(keyspace, &pick, next)) {
        Piece::Read { changes, next } => {
            if let Some(last) = changes.last() {
                let revision = last.revision;
                out.push(Delivery::Events {
                    id,
                    changes,
                    pick,
                    revision,
                });
            }
            watches.hub().caught_up_to(slot, queue, next);
        }
        Piece::Compacted(at) => queue.cancel(id, Cancellation::Compacted(at)),
        Piece::Older => upstream::hand_over(watches, queue, slot, Arrears { id, pick, next }),
    }
}

fn read_piece(keyspace: &Keyspace, pick: &Pick, from: Revision) -> Piece {
    if from < keyspace.compacted() {
        return Piece::Compacted(keyspace.compacted());
    }
    if from < keyspace.first_change() && from <= keyspace.revision() {
        return Piece::Older;
    }
    let (mut changes, mut bytes, mut next) = (Vec::new(), 0, from);
    for change in keyspace.changes(from).take(SCAN_REVISIONS) {
        next = change.revision.next();
        if pick.wants_any(change) {
            bytes += change.bytes();
            changes.push(Arc::clone(change));
            if bytes >= PIECE_BYTES {
                break;
            }
        }
    }
    Piece::Read { changes, next }
}
