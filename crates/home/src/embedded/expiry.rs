//! The end of leases: revokes those that have run out.
//!
//! Invariant: a lease is revoked after it has run out, never before; between, it cannot be
//! renewed. One task, which sleeps until the next lease runs out.

use std::sync::Arc;

use meridian_keyspace::LeaseId;
use tokio::time::sleep_until;

use super::{job::Job, node::Node};

/// Leases in one job: each is a revision of its own, so that this many take some milliseconds.
const LEASES_AT_ONCE: usize = 512;

pub(super) async fn run(node: Arc<Node>) {
    let stop = node.tasks.token();
    loop {
        let expired = next_expired(&node);
        if !expired.is_empty() {
            // The writer ends only with the process; what was not revoked is revoked after a start.
            if node
                .submit(1, |answer| Job::Expire(expired, answer))
                .await
                .is_err()
            {
                return stop.cancelled().await;
            }
            continue;
        }
        tokio::select! {
            () = until_next(&node) => {}
            () = node.published.lease_granted.notified() => {}
            () = stop.cancelled() => return,
        }
    }
}

fn next_expired(node: &Node) -> Vec<LeaseId> {
    let now = node.published.lease_clock();
    let mut expired = node.published.leases.lock().expired(now);
    expired.truncate(LEASES_AT_ONCE);
    expired
}

/// Ends when the lease that runs out first, as of now, has run out. A renewal only makes it later.
async fn until_next(node: &Node) {
    let next = node.published.leases.lock().next_expiry();
    match next {
        Some(at) => sleep_until(node.published.instant_of(at)).await,
        None => std::future::pending().await,
    }
}
