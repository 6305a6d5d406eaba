//! One snapshot for a joiner: the whole keyspace at one revision, in chunks, from the own replica.
//!
//! Nothing is remembered between attempts: a joiner that was cut off names the revision and the last
//! key it has, and the replica's history, which reaches back to that revision for a while, serves the
//! rest; here or at another relay.

use std::{sync::Arc, time::Duration};

use meridian_keyspace::{ReadError, Revision, SharedKeyspace};
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

/// How long a joiner waits for its turn: less than it waits for the answer (20 s).
const TURN_PATIENCE: Duration = Duration::from_secs(15);

/// How long a joiner may take to take one chunk off us: as long as it waits for one itself. One that
/// takes none keeps a turn and a revision of the replica from being forgotten.
const CHUNK_DEADLINE: Duration = Duration::from_secs(20);

/// Between two looks at a replica that is behind.
const REPLICA_PAUSE: Duration = Duration::from_millis(20);

/// Serves one snapshot, or the rest of one.
pub(crate) async fn snapshot(
    station: &Station,
    mut send: Send,
    mut recv: Recv,
) -> Result<(), StreamError> {
    let request: SnapshotRequest = recv.message_within(REQUEST_DEADLINE).await?;
    let _place = match timeout(TURN_PATIENCE, station.snapshots.acquire()).await {
        Ok(place) => place,
        Err(_) => return refuse(send, Why::Behind).await,
    };
    let (replica, counted) = match judge(station, &request).await {
        Ok(judged) => judged,
        Err(why) => return refuse(send, why).await,
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
            let mut chunk = [encoder.encode(next)];
            let sent = timeout(CHUNK_DEADLINE, send.chunks(&mut chunk)).await;
            sent.unwrap_or(Err(StreamError::TooLate(CHUNK_DEADLINE)))?;
            rest = behind;
        }
    }
    send.finish();
    Ok(())
}

async fn refuse(mut send: Send, why: Why) -> Result<(), StreamError> {
    send.message(&SnapshotReply::refused(Refused::new(why)))
        .await?;
    send.finish();
    Ok(())
}

/// Whether it can be served from here; if so, from what, and what there is.
async fn judge(
    station: &Station,
    request: &SnapshotRequest,
) -> Result<(Arc<SharedKeyspace>, Counted), Why> {
    // The replica is looked at after the log, so it is not of a home before this one.
    let filling = station.relay.filling();
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
    let wanted = request
        .resume
        .as_ref()
        .map(|resume| Revision::new(resume.revision));
    let counted = counted(station, &replica, wanted).await?;
    // What follows it must be here too, so that the tail can flow beside it.
    let mut changes = station.relay.changes();
    let reached = async {
        while station
            .relay
            .at()
            .is_none_or(|at| at.revision < counted.revision)
        {
            if changes.changed().await.is_err() {
                return;
            }
        }
    };
    if timeout(BEHIND_PATIENCE, reached).await.is_err() {
        return Err(Why::Behind);
    }
    if station.relay.filling() != filling {
        // The log has begun anew meanwhile: perhaps of another home than the replica is.
        return Err(Why::Behind);
    }
    Ok((replica, counted))
}

/// Counts the keys; a revision that the replica has yet to reach is waited for a while.
async fn counted(
    station: &Station,
    replica: &Arc<SharedKeyspace>,
    wanted: Option<Revision>,
) -> Result<Counted, Why> {
    let mut changes = station.relay.changes();
    let counting = async {
        loop {
            match replica::count(replica, wanted).await {
                Ok(counted) => return Ok(counted),
                Err(ReadError::Compacted { .. } | ReadError::Forgotten { .. }) => {
                    return Err(Why::Compacted);
                }
                Err(ReadError::Future { .. }) => {
                    // The replica follows the log, a moment behind.
                    let _ = timeout(REPLICA_PAUSE, changes.changed()).await;
                }
            }
        }
    };
    timeout(BEHIND_PATIENCE, counting)
        .await
        .unwrap_or(Err(Why::Behind))
}
