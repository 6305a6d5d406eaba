//! Links that other nodes make: handshakes beside each other, bounded.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use meridian_runtime::{TaskGroup, tls::Reloading};
use quinn::{Incoming, VarInt};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{HANDSHAKE_DEADLINE, named};
use crate::link::{
    connection::{Closed, Link},
    metrics,
    tls::Security,
};

/// Handshakes under way at once: at some 0.5 ms of CPU each, 256 are done in a tenth of a second
/// on one core; a region that restarts has some tens of nodes.
const HANDSHAKES_MAX: usize = 256;

/// How long links may take to say goodbye at a stop: two round trips of 220 ms.
const GOODBYE: Duration = Duration::from_millis(500);

/// From so many on, a node must prove that it has the address it claims before work is done for it.
const HANDSHAKES_UNPROVEN_MAX: usize = 64;

/// Accepts until `token` is cancelled, then closes every link of the endpoint.
pub(super) async fn run(
    endpoint: quinn::Endpoint,
    security: Arc<Reloading<Security>>,
    accepted: mpsc::Sender<Link>,
    tasks: TaskGroup,
    token: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = token.cancelled() => None,
        };
        let Some(incoming) = incoming else { break };
        let under_way = HANDSHAKES_MAX - room.available_permits();
        if under_way >= HANDSHAKES_UNPROVEN_MAX && !incoming.remote_address_validated() {
            // An error gives it back, and dropping it refuses it.
            let _ = incoming.retry();
            continue;
        }
        let Ok(place) = room.clone().try_acquire_owned() else {
            metrics::refused("busy");
            incoming.refuse();
            continue;
        };
        let (security, accepted) = (security.clone(), accepted.clone());
        let handshake = async move {
            let remote = incoming.remote_address();
            match shake(incoming, &security).await {
                // A closed receiver says that we are stopping.
                Ok(link) => drop(accepted.send(link).await),
                Err(reason) => failed(remote, &reason),
            }
            drop(place);
        };
        tasks.spawn("handshake", crate::until(token.clone(), handshake));
    }
    close(endpoint).await;
}

/// Closes every link of an endpoint once `token` is cancelled.
pub(super) async fn close_at(endpoint: quinn::Endpoint, token: CancellationToken) {
    token.cancelled().await;
    close(endpoint).await;
}

async fn close(endpoint: quinn::Endpoint) {
    endpoint.close(VarInt::from_u32(0), b"the node is stopping");
    // What is sent on closing must leave. A link that was cut before takes three of its timeouts, which
    // have grown to many seconds: nobody is there to hear it.
    let _late = timeout(GOODBYE, endpoint.wait_idle()).await;
}

async fn shake(incoming: Incoming, security: &Reloading<Security>) -> Result<Link, String> {
    let server = security.current().server.clone();
    let connecting = incoming.accept_with(server).map_err(|e| e.to_string())?;
    match timeout(HANDSHAKE_DEADLINE, connecting).await {
        Ok(Ok(connection)) => named(connection),
        Ok(Err(error)) => Err(Closed::from(error).to_string()),
        Err(_) => Err(format!("no handshake within {HANDSHAKE_DEADLINE:?}")),
    }
}

fn failed(remote: SocketAddr, reason: &str) {
    metrics::refused("handshake");
    tracing::info!(%remote, reason, "a link to this node was not made");
}
