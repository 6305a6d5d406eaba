//! Rereading history for a watcher that is behind: one bounded piece at a time.

use std::sync::Arc;

use meridian_keyspace::{Change, Keyspace, Revision};

use super::{
    Cancellation, Changes, Delivery, Pick, Watches,
    hub::{Arrears, Place},
    stream::StreamQueue,
    upstream,
};

/// Revisions looked at in one piece. Under the replica's read lock they are only taken hold of, in
/// some 20 µs, however many events they have.
const SCAN_REVISIONS: usize = 1000;

/// Bytes of matching changes in one piece; a single larger revision still goes out whole.
const PIECE_BYTES: usize = 512 << 10;

/// What history had.
enum Piece {
    /// The next changes.
    Read(Vec<Arc<Change>>),
    /// The wanted revisions are compacted, by the word of a client.
    Compacted(Revision),
    /// They are older than the window, but the home may have them.
    Older,
}

/// Reads the next piece for a lagging watcher.
pub(super) fn step(
    watches: &Watches,
    queue: &Arc<StreamQueue>,
    place: Place,
    out: &mut Vec<Delivery>,
) {
    let Some(Arrears { id, pick, next }) = watches.hub().arrears(place) else {
        return;
    };
    let replica = watches.engine().replica.load_full();
    // Without a replica the home was replaced, and the watcher will be canceled.
    let Some(replica) = replica else { return };
    match replica.read(|keyspace| read_piece(keyspace, next)) {
        Piece::Read(read) => {
            let (changes, next) = pick_piece(read, &pick, next);
            if let Some(last) = changes.last() {
                let revision = last.revision;
                out.push(Delivery::Events {
                    id,
                    changes,
                    pick,
                    revision,
                });
            }
            watches.hub().caught_up_to(place, next);
        }
        Piece::Compacted(at) => queue.cancel(id, place, Cancellation::Compacted(at)),
        Piece::Older => upstream::hand_over(watches, queue, place, Arrears { id, pick, next }),
    }
}

fn read_piece(keyspace: &Keyspace, from: Revision) -> Piece {
    if from < keyspace.compacted() {
        return Piece::Compacted(keyspace.compacted());
    }
    if from < keyspace.first_change() && from <= keyspace.revision() {
        return Piece::Older;
    }
    Piece::Read(
        keyspace
            .changes(from)
            .take(SCAN_REVISIONS)
            .cloned()
            .collect(),
    )
}

/// The matching changes that fit into a piece, and the revision to go on from.
fn pick_piece(read: Vec<Arc<Change>>, pick: &Pick, from: Revision) -> (Changes, Revision) {
    let (mut changes, mut bytes, mut next) = (Changes::new(), 0, from);
    for change in read {
        next = change.revision.next();
        if pick.wants_any(&change) {
            bytes += change.bytes();
            changes.push(change);
            if bytes >= PIECE_BYTES {
                break;
            }
        }
    }
    (changes, next)
}
