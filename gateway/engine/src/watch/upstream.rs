//! Watches from a revision older than local history: served by the home until they reach it.
//!
//! Invariant: the watcher is handed back at the first revision that the home has not delivered
//! completely, so there is neither a gap nor a duplicate.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use meridian_home::{CallError, Fate, FollowError, RangeProgress};
use meridian_keyspace::{Change, Revision};
use meridian_runtime::Backoff;
use tonic::Code;

use super::{
    Cancellation, Watches,
    hub::{Arrears, Offered, Place},
    stream::StreamQueue,
};

/// Backoff between attempts to reach the home.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// How long a client that reads nothing may hold one of the places for old watches. It gets one
/// again when it has read what is queued. Tests have less time.
const ROOM_PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5000 });

/// Why an attempt ended without an error.
enum Paused {
    /// Local history has what follows, or the client does not read.
    HandBack,
    /// The watcher is gone.
    Gone,
}

/// Lets the home serve a watcher from `arrears.next` on, until local history can.
pub(super) fn hand_over(
    watches: &Watches,
    queue: &Arc<StreamQueue>,
    place: Place,
    arrears: Arrears,
) {
    if !watches.hub().served_upstream(place) {
        return;
    }
    let (watches, queue) = (watches.clone(), Arc::clone(queue));
    let tasks = watches.engine().tasks.clone();
    tasks.spawn("old-watch", async move {
        let (stop, closed) = (watches.engine().tasks.token(), queue.closed.clone());
        tokio::select! {
            () = stop.cancelled() => {}
            () = closed.cancelled() => {}
            () = serve(&watches, &queue, place, arrears) => {}
        }
    });
}

async fn serve(watches: &Watches, queue: &Arc<StreamQueue>, place: Place, mut arrears: Arrears) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    let _permit = watches.upstream_permit().await;
    loop {
        let began_at = arrears.next;
        let outcome = attempt(watches, queue, place, &mut arrears).await;
        if arrears.next > began_at {
            backoff.reset();
        }
        match outcome {
            Ok(Paused::HandBack) => {
                watches.hub().caught_up_to(place, arrears.next);
                return;
            }
            Ok(Paused::Gone) => return,
            Err(FollowError::Compacted { compacted }) => {
                queue.cancel(arrears.id, place, Cancellation::Compacted(compacted));
                return;
            }
            Err(FollowError::Call(error)) => {
                tracing::debug!(error = %error, "an old watch waits for the home");
                backoff.pause().await;
            }
        }
    }
}

/// Follows the home until local history has the next revision.
async fn attempt(
    watches: &Watches,
    queue: &StreamQueue,
    place: Place,
    arrears: &mut Arrears,
) -> Result<Paused, FollowError> {
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
            let change = Arc::new(change);
            match tokio::time::timeout(ROOM_PATIENCE, given(watches, queue, place, &change)).await {
                Ok(true) => arrears.next = change.revision.next(),
                Ok(false) => return Ok(Paused::Gone),
                Err(_) => return Ok(Paused::HandBack),
            }
        }
        arrears.next = arrears.next.max(complete_to.next());
        if history_has(watches, arrears.next) {
            return Ok(Paused::HandBack);
        }
    }
    Err(ended().into())
}

/// Queues a change as soon as there is room for it; false if the watcher is gone. Cancel-safe.
async fn given(watches: &Watches, queue: &StreamQueue, place: Place, change: &Arc<Change>) -> bool {
    let bytes = change.bytes();
    loop {
        let space = queue.space();
        match watches.hub().offer(place, change, bytes) {
            Offered::Taken => return true,
            Offered::Gone => return false,
            Offered::Full => space.await,
        }
    }
}

fn ended() -> CallError {
    CallError::new(
        Code::Unavailable,
        "the home ended an old watch",
        Fate::Refused,
    )
}

fn history_has(watches: &Watches, next: Revision) -> bool {
    watches
        .engine()
        .replica
        .load_full()
        .is_some_and(|replica| replica.read(|keyspace| keyspace.first_change() <= next))
}
