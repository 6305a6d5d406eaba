//! The accept loop that every door runs.
//!
//! Invariants: at most [`Limits::connections`] connections are open; one more is closed at once
//! and counted, so that its client tries another endpoint. Draining closes the port first, then
//! gives the open connections until the deadline. It does not know what is spoken on them.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use crate::{Backoff, StopReport, TaskGroup};

/// Connections the kernel may hold for us between two accepts; its own cap is usually 4096.
const BACKLOG: u32 = 1024;

/// After a failed accept (no file descriptors, say): long enough not to spin, short enough not
/// to be noticed once it is over.
const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(10);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there already.
    #[error(
        "{0}: address already in use; stop what listens there or choose another port, 0 for any"
    )]
    InUse(SocketAddr),
    /// A port below 1024, as a rule.
    #[error("{0}: may not be opened by this user; choose a port from 1024 on")]
    Denied(SocketAddr),
    /// The host has no such address.
    #[error("{0}: is no address of this machine; choose one of its own, or 0.0.0.0")]
    NotOurs(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {address}: {error}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::AddrInUse => Self::InUse(address),
            ErrorKind::PermissionDenied => Self::Denied(address),
            ErrorKind::AddrNotAvailable => Self::NotOurs(address),
            _ => Self::Other { address, error },
        }
    }
}

/// Opens a listening port. Needs a tokio runtime.
///
/// # Errors
/// [`BindError`], which says what to do.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let open = || {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // Lets a restart take the port while old connections are in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error| BindError::new(address, error))
}

/// What a door allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at one time.
    pub connections: usize,
}

/// One accepted connection, as the door's handler gets it.
#[derive(Debug)]
pub struct Connection {
    /// The socket, with `TCP_NODELAY` set.
    pub stream: TcpStream,
    /// Who connected.
    pub peer: SocketAddr,
    /// Cancelled when the door drains: finish what is under way, refuse what is new.
    pub draining: CancellationToken,
}

/// Counters of an accept loop; each only rises.
#[derive(Debug, Default)]
pub struct Counters {
    opened: AtomicU64,
    closed: AtomicU64,
    refused: AtomicU64,
}

impl Counters {
    /// Connections ever opened.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Connections closed since.
    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::Relaxed)
    }

    /// Connections turned away because the limit was reached.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        // Closed first: between the two loads it can only be too high, never below zero.
        let closed = self.closed();
        self.opened().saturating_sub(closed)
    }
}

/// A running accept loop.
#[derive(Debug)]
pub struct Acceptor {
    group: TaskGroup,
    counters: Arc<Counters>,
}

/// Accepts on `listener` until drained; each connection is a task running `handler`.
pub fn serve<H, F>(
    name: &'static str,
    listener: TcpListener,
    limits: Limits,
    tasks: &TaskGroup,
    handler: H,
) -> Acceptor
where
    H: Fn(Connection) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let group = tasks.child(name);
    let counters = Arc::new(Counters::default());
    let accepting = Accepting {
        group: group.clone(),
        counters: counters.clone(),
        places: Arc::new(Semaphore::new(
            limits.connections.min(Semaphore::MAX_PERMITS),
        )),
        handler,
    };
    group.spawn_permanent("accept", accepting.run(listener));
    Acceptor { group, counters }
}

impl Acceptor {
    /// Its counters, to read at any time.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Closes the port, lets the open connections finish until `deadline` from now, aborts the
    /// rest.
    pub async fn drain(self, deadline: Duration) -> StopReport {
        self.group.stop(deadline).await
    }
}

struct Accepting<H> {
    group: TaskGroup,
    counters: Arc<Counters>,
    places: Arc<Semaphore>,
    handler: H,
}

impl<H, F> Accepting<H>
where
    H: Fn(Connection) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    async fn run(self, listener: TcpListener) {
        let token = self.group.token();
        let mut backoff = Backoff::new(ACCEPT_PAUSE_FIRST, ACCEPT_PAUSE_MAX);
        loop {
            let accepted = tokio::select! {
                () = token.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    self.admit(stream, peer);
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections, trying again");
                    tokio::select! {
                        () = token.cancelled() => return,
                        () = backoff.pause() => {}
                    }
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%peer, "connection limit reached, closing the new one");
            return;
        };
        if stream.set_nodelay(true).is_err() {
            // The peer is gone already.
            return;
        }
        let open = Open::new(self.counters.clone(), place);
        let draining = self.group.token();
        let handled = (self.handler)(Connection {
            stream,
            peer,
            draining,
        });
        self.group.spawn("connection", async move {
            let _open = open;
            handled.await;
        });
    }
}

/// Counts a connection from its opening to its close, however it ends.
struct Open {
    counters: Arc<Counters>,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(counters: Arc<Counters>, place: OwnedSemaphorePermit) -> Self {
        counters.opened.fetch_add(1, Ordering::Relaxed);
        Self {
            counters,
            _place: place,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.closed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Faults of one connection that died before we took it; the listener is well.
fn is_of_the_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests;
