//! Watches from a revision older than local history: served by the home until they reach it.
//!
//! Invariant: the watcher is handed back at the first revision that the home has not delivered
//! completely, so there is neither a gap nor a duplicate.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use meridian_home::{FollowError, RangeProgress};
use meridian_keyspace::Revision;
use meridian_runtime::Backoff;

use super::{
    Cancellation, Watches,
    hub::{Arrears, Slot},
    stream::StreamQueue,
};

/// Backoff between attempts to reach the home.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Lets the home serve a watcher from `arrears.next` on, until local history can.
pub(super) fn hand_over(watches: &Watches, queue: &Arc<StreamQueue>, slot: Slot, arrears: Arrears) {
    if !watches.hub().served_upstream(slot, queue) {
        return;
    }
    let (watches, queue) = (watches.clone(), Arc::clone(queue));
    let tasks = watches.engine().tasks.clone();
    tasks.spawn("old-watch", async move {
        let (stop, closed) = (watches.engine().tasks.token(), queue.closed.clone());
        tokio::select! {
            () = stop.cancelled() => {}
            () = closed.cancelled() => {}
            () = serve(&watches, &queue, slot, arrears) => {}
        }
    });
}

async fn serve(watches: &Watches, queue: &Arc<StreamQueue>, slot: Slot, mut arrears: Arrears) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    let _permit = watches.upstream_permit().await;
    loop {
        match attempt(watches, queue, &mut arrears).await {
            Ok(()) => {
                watches.hub().caught_up_to(slot, queue, arrears.next);
                return;
            }
            Err(FollowError::Compacted { compacted }) => {
                queue.cancel(arrears.id, Cancellation::Compacted(compacted));
                return;
            }
            Err(FollowError::Call(error)) => {
                tracing::debug!(error = %error, "an old watch waits for the home");
                tokio::time::sleep(backoff.next()).await;
            }
        }
    }
}

/// Follows the home until local history has the next revision.
async fn attempt(
    watches: &Watches,
    queue: &Arc<StreamQueue>,
    arrears: &mut Arrears,
) -> Result<(), FollowError> {
    let home = watches.engine().home();
    let mut steps = home
        .follow_range(arrears.pick.range.clone(), arrears.next)
        .await?;
    while let Some(step) = steps.next().await {
        let RangeProgress {
            changes,
            complete_to,
        } = step?;
        for change in changes
            .into_iter()
            .filter(|change| arrears.pick.wants_any(change))
        {
            queue.room().await;
            let bytes = change.bytes();
            let change = Arc::new(change);
            while !queue.push_change(arrears.id, &arrears.pick, &change, bytes) {
                queue.room().await;
            }
            arrears.next = change.revision.next();
        }
        arrears.next = arrears.next.max(complete_to.next());
        if history_has(watches, arrears.next) {
            return Ok(());
        }
    }
    Ok(())
}

fn history_has(watches: &Watches, next: Revision) -> bool {
    watches
        .engine()
        .replica
        .load_full()
        .is_some_and(|replica| replica.read(|keyspace| keyspace.first_change() <= next))
}
