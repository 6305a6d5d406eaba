//! Single clients that a forwarder carries nothing for.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// The set of them; looking is free while it is empty.
#[derive(Debug, Default)]
pub(super) struct Severed {
    any: AtomicBool,
    clients: Mutex<HashSet<SocketAddr>>,
}

impl Severed {
    pub(super) fn set(&self, client: SocketAddr, gone: bool) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if gone {
            clients.insert(client);
        } else {
            clients.remove(&client);
        }
        self.any.store(!clients.is_empty(), Ordering::Release);
    }

    pub(super) fn has(&self, client: SocketAddr) -> bool {
        let look = || self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.load(Ordering::Acquire) && look().contains(&client)
    }
}
