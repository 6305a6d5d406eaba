//! Leases: which exist, when they run out, and which keys each takes along.
//!
//! Owns [`Leases`]. Time is given in, as a duration since an origin of the caller's choice.
//! Invariants: a key is attached to at most one lease, and only to one that exists; a lease is
//! listed as expired until it is revoked. It draws no ids, deletes no keys and knows no limits on
//! a TTL: those are the caller's.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use crate::LeaseId;

/// The leases of one keyspace.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
    by_key: HashMap<Arc<[u8]>, LeaseId>,
    by_expiry: BTreeSet<(Duration, LeaseId)>,
}

#[derive(Clone, Debug)]
struct Lease {
    granted: Duration,
    expires_at: Duration,
    keys: BTreeSet<Arc<[u8]>>,
}

/// The id is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease {0} already exists")]
pub struct LeaseExists(pub LeaseId);

/// The lease is not there (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease {0} is not there")]
pub struct LeaseMissing(pub LeaseId);

impl Leases {
    /// No leases.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants `id` for `ttl_secs` seconds from `now` on. A negative TTL counts as zero.
    ///
    /// # Errors
    /// [`LeaseExists`] if the id is in use.
    pub fn grant(&mut self, id: LeaseId, ttl_secs: i64, now: Duration) -> Result<(), LeaseExists> {
        if self.exists(id) {
            return Err(LeaseExists(id));
        }
        let granted = Duration::from_secs(u64::try_from(ttl_secs).unwrap_or(0));
        let expires_at = now.saturating_add(granted);
        self.leases.insert(
            id,
            Lease {
                granted,
                expires_at,
                keys: BTreeSet::new(),
            },
        );
        self.by_expiry.insert((expires_at, id));
        Ok(())
    }

    /// Ends a lease; answers the keys attached to it, in key order, which are attached no more.
    pub fn revoke(&mut self, id: LeaseId) -> Option<Vec<Arc<[u8]>>> {
        let lease = self.leases.remove(&id)?;
        self.by_expiry.remove(&(lease.expires_at, id));
        for key in &lease.keys {
            self.by_key.remove(key);
        }
        Some(lease.keys.into_iter().collect())
    }

    /// Starts the lease's full TTL again; answers that TTL in seconds. A lease that has run out,
    /// revoked or not, cannot be renewed.
    pub fn renew(&mut self, id: LeaseId, now: Duration) -> Option<i64> {
        let lease = self
            .leases
            .get_mut(&id)
            .filter(|lease| lease.expires_at > now)?;
        self.by_expiry.remove(&(lease.expires_at, id));
        lease.expires_at = now.saturating_add(lease.granted);
        self.by_expiry.insert((lease.expires_at, id));
        Some(seconds(lease.granted))
    }

    /// Attaches `key` to `id`, and detaches it from any other lease.
    ///
    /// # Errors
    /// [`LeaseMissing`] if there is no such lease; the key then keeps what it had.
    pub fn attach(&mut self, key: &[u8], id: LeaseId) -> Result<(), LeaseMissing> {
        if !self.exists(id) {
            return Err(LeaseMissing(id));
        }
        if self.lease_of(key) == Some(id) {
            return Ok(());
        }
        self.detach(key);
        let key: Arc<[u8]> = key.into();
        let lease = self.leases.get_mut(&id).expect("looked up above");
        lease.keys.insert(Arc::clone(&key));
        self.by_key.insert(key, id);
        Ok(())
    }

    /// Detaches `key` from its lease, if it has one.
    pub fn detach(&mut self, key: &[u8]) {
        if let Some(id) = self.by_key.remove(key) {
            let lease = self
                .leases
                .get_mut(&id)
                .expect("keys are attached to leases that exist");
            lease.keys.remove(key);
        }
    }

    /// The lease that `key` is attached to.
    pub fn lease_of(&self, key: &[u8]) -> Option<LeaseId> {
        self.by_key.get(key).copied()
    }

    /// Whether the lease exists; true until it is revoked, even if it has run out.
    pub fn exists(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// What is left of the lease; zero once it has run out.
    pub fn remaining(&self, id: LeaseId, now: Duration) -> Option<Duration> {
        self.leases
            .get(&id)
            .map(|lease| lease.expires_at.saturating_sub(now))
    }

    /// The TTL that the lease was granted, in seconds.
    pub fn granted(&self, id: LeaseId) -> Option<i64> {
        self.leases.get(&id).map(|lease| seconds(lease.granted))
    }

    /// The keys attached to the lease, in key order.
    pub fn keys(&self, id: LeaseId) -> impl Iterator<Item = &[u8]> {
        self.leases
            .get(&id)
            .into_iter()
            .flat_map(|lease| lease.keys.iter().map(AsRef::as_ref))
    }

    /// Every lease, by ascending id.
    pub fn ids(&self) -> impl Iterator<Item = LeaseId> {
        self.leases.keys().copied()
    }

    /// The leases that have run out and are not yet revoked, the longest out first.
    pub fn expired(&self, now: Duration) -> Vec<LeaseId> {
        self.by_expiry
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| *id)
            .collect()
    }

    /// When the next lease runs out (or did); none if there is no lease.
    pub fn next_expiry(&self) -> Option<Duration> {
        self.by_expiry.first().map(|(at, _)| *at)
    }

    /// The number of leases.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether there is no lease.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).expect("made from an i64 of seconds")
}

#[cfg(test)]
mod tests;
