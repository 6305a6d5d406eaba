//! The data set: how many keys, how long keys and values are, and what the n-th of each is.
//!
//! Invariant: key n is the same bytes in every run and sorts by n, so that one process may fill and another read,
//! and a range of 100 starting at key n is exactly keys n..n+100.

use bytes::Bytes;

/// Random bytes that values are cut from: longer than a value, so that neighbours differ.
const POOL_BYTES: usize = 1 << 20;

/// Size and form of the data set.
#[derive(Clone, Debug)]
pub struct Shape {
    /// What every key begins with.
    pub prefix: String,
    /// Number of keys.
    pub keys: u64,
    /// Length of a key, prefix included.
    pub key_bytes: usize,
    /// Length of a value.
    pub value_bytes: usize,
}

/// The data set cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// A key of that length cannot hold the prefix and the number.
    #[error("keys of {key_bytes} bytes cannot hold prefix and number: give at least {needed}")]
    KeyTooShort {
        /// Length asked for.
        key_bytes: usize,
        /// Shortest length that works.
        needed: usize,
    },
    /// There is nothing to read.
    #[error("a data set needs at least 100 keys: a range of 100 must exist")]
    TooFewKeys,
}

impl Shape {
    /// A data set under `/load/`, or why there can be none.
    pub fn new(keys: u64, key_bytes: usize, value_bytes: usize) -> Result<Self, ShapeError> {
        let prefix = "/load/".to_owned();
        let needed = prefix.len() + keys.to_string().len();
        if key_bytes < needed {
            return Err(ShapeError::KeyTooShort { key_bytes, needed });
        }
        if keys < 100 {
            return Err(ShapeError::TooFewKeys);
        }
        Ok(Self {
            prefix,
            keys,
            key_bytes,
            value_bytes,
        })
    }

    /// The n-th key.
    pub fn key(&self, n: u64) -> Bytes {
        let width = self.key_bytes - self.prefix.len();
        Bytes::from(format!("{}{n:0width$}", self.prefix))
    }

    /// A key of the set, drawn by `random`.
    pub fn any_key(&self, random: &mut fastrand::Rng) -> Bytes {
        self.key(random.u64(0..self.keys))
    }
}

/// Incompressible values that differ from key to key, without making each one anew.
#[derive(Clone, Debug)]
pub struct Values {
    pool: Bytes,
    value_bytes: usize,
}

impl Values {
    /// Values of one length; the same in every run.
    pub fn new(value_bytes: usize) -> Self {
        let mut pool = vec![0; POOL_BYTES + value_bytes];
        fastrand::Rng::with_seed(42).fill(&mut pool);
        Self {
            pool: Bytes::from(pool),
            value_bytes,
        }
    }

    /// The value of key n.
    pub fn value(&self, n: u64) -> Bytes {
        let start = (n as usize).wrapping_mul(769) % POOL_BYTES;
        self.pool.slice(start..start + self.value_bytes)
    }
}

#[cfg(test)]
mod tests;
