//! One snapshot for a joiner: the whole keyspace at one revision, in chunks, from the own replica.
//!
//! Nothing is remembered between attempts: a joiner that was cut off names the revision and the last
//! key it has, and the replica's history, which reaches back to that revision for a while, serves the
//! rest; here or at another relay.

use meridian_keyspace::Revision;
use meridian_revlog::{CHUNK_RAW_BYTES, ChunkEncoder, chunk_records};
use tokio::time::timeout;

use super::{BEHIND_PATIENCE, Gate, REQUEST_DEADLINE, Station};
use crate::{
    link::{
        Recv, Send, StreamError,
        wire::{Refused, SnapshotHead, SnapshotReply, SnapshotRequest, Why},
    },
    machine::Term,
    metrics,
    relay::Lineage,
    replica::{self, Chunks, Counted, first_key},
};

/// Serves one snapshot, or the rest of one.
pub(crate) async fn snapshot(
    station: &Station,
    mut send: Send,
    mut recv: Recv,
) -> Result<(), StreamError> {
    let request: SnapshotRequest = recv.message_within(REQUEST_DEADLINE).await?;
    let replica = station.replica.replica();
    let counted = match judge(station, &request).await {
        Ok(counted) => counted,
        Err(why) => {
            send.message(&SnapshotReply::refused(Refused::new(why))).await?;
            send.finish();
            return Ok(());
        }
    };
    let Some(replica) = replica else {
        return Ok(());
    };
    let _open = metrics::SnapshotServed::opened();
    let head = SnapshotHead {
        lineage: station.relay.lineage().0,
        epoch: station.relay.epoch().get(),
        revision: counted.revision.get(),
        keys_total: counted.keys,
    };
    send.message(&SnapshotReply::head(head)).await?;
    let after = request.resume.unwrap_or_default().after_key;
    let first = first_key(&after);
    let Ok(mut chunks) = Chunks::begin(&replica, counted.revision, &first, CHUNK_RAW_BYTES) else {
        // Compacted by a client in this very moment: the joiner begins anew.
        return Ok(());
    };
    let mut encoder = ChunkEncoder::new();
    while let Some(records) = chunks.next().await {
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let (next, behind) = rest.split_at(chunk_records(rest));
            send.chunks(&mut [encoder.encode(next)]).await?;
            rest = behind;
        }
    }
    send.finish();
    Ok(())
}

/// Whether it can be served from here; if so, what there is.
async fn judge(station: &Station, request: &SnapshotRequest) -> Result<Counted, Why> {
    let gate: Gate = *station.gate.borrow();
    if !gate.admits(Term::new(request.term)) {
        return Err(Why::NotHeld);
    }
    if !station.relay.lineage().agrees(Lineage(request.lineage)) {
        return Err(Why::OtherLineage);
    }
    let Some(replica) = station.replica.replica() else {
        return Err(Why::Behind);
    };
    let wanted = request.resume.as_ref().map(|resume| Revision::new(resume.revision));
    let counted = replica::count(&replica, wanted).await;
    let counted = counted.map_err(|_| Why::Compacted)?;
    // What follows it must be here too, so that the tail can flow beside it.
    let mut changes = station.relay.changes();
    let reached = async {
        while station.relay.at().is_none_or(|at| at.revision < counted.revision) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    match timeout(BEHIND_PATIENCE, reached).await {
        Ok(()) => Ok(counted),
        Err(_) => Err(Why::Behind),
    }
}
