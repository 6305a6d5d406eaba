//! The clients of a UDP forwarder. A client that has been quiet for long is forgotten.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::Socket;

/// Clients of one forwarder: each costs a thread, and a test has some dozens of nodes.
const CLIENTS_MAX: usize = 256;

/// Longer than any connection is kept alive in silence.
const QUIET: Duration = Duration::from_secs(60);

/// One client.
#[derive(Clone, Debug)]
pub(super) struct Session {
    far: Arc<Socket>,
    heard: Arc<Mutex<Instant>>,
}

impl Session {
    pub(super) fn far(&self) -> &Arc<Socket> {
        &self.far
    }

    pub(super) fn touch(&self) {
        *lock(&self.heard) = Instant::now();
    }

    fn is_quiet(&self) -> bool {
        lock(&self.heard).elapsed() > QUIET
    }
}

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<SocketAddr, Session>>);

impl Sessions {
    /// The session of `client`, opened if it is new; `None` when there are too many.
    pub(super) fn of(
        &self,
        client: SocketAddr,
        open: impl FnOnce() -> Result<Arc<Socket>>,
    ) -> Option<Session> {
        let mut sessions = lock(&self.0);
        if let Some(session) = sessions.get(&client) {
            return Some(session.clone());
        }
        if sessions.len() >= CLIENTS_MAX {
            return None;
        }
        let session = Session {
            far: open().ok()?,
            heard: Arc::new(Mutex::new(Instant::now())),
        };
        sessions.insert(client, session.clone());
        Some(session)
    }

    pub(super) fn touch(&self, client: SocketAddr) {
        if let Some(session) = lock(&self.0).get(&client) {
            session.touch();
        }
    }

    /// Forgets `client` if neither end has said anything for long; whether it is gone.
    pub(super) fn forget_if_quiet(&self, client: SocketAddr) -> bool {
        let mut sessions = lock(&self.0);
        match sessions.get(&client) {
            Some(session) if !session.is_quiet() => false,
            Some(_) => {
                sessions.remove(&client);
                true
            }
            // Its thread may begin before it is entered: the lock was held meanwhile, so it is now.
            None => true,
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.0).len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No panic happens under these locks; if one did, the test has failed anyway.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
