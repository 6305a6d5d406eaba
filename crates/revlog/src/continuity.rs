//! Gap rules: a full-keyspace log has contiguous revisions, so a gap is found by arithmetic
//! (etcd's revisions are consumed by key changes alone).

use meridian_keyspace::Revision;

/// What to do with a revision that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one: apply it.
    Next,
    /// It was applied before: drop it.
    Duplicate,
}

/// Revisions are missing between what was applied and what arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision {arrived} arrived where {expected} was due")]
pub struct Gap {
    /// The revision that was due.
    pub expected: Revision,
    /// The revision that came.
    pub arrived: Revision,
}

/// Where a reader of the log stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Continuity {
    applied: Revision,
}

impl Continuity {
    /// A reader that has everything up to `applied`.
    pub const fn at(applied: Revision) -> Self {
        Self { applied }
    }

    /// The revision that is due next.
    pub const fn expected(&self) -> Revision {
        self.applied.next()
    }

    /// Judges a revision that arrived, and moves on if it is the next.
    ///
    /// # Errors
    /// [`Gap`] if revisions are missing; the position stays.
    pub fn admit(&mut self, arrived: Revision) -> Result<Verdict, Gap> {
        let expected = self.expected();
        if arrived < expected {
            return Ok(Verdict::Duplicate);
        }
        if arrived > expected {
            return Err(Gap { expected, arrived });
        }
        self.applied = arrived;
        Ok(Verdict::Next)
    }
}

#[cfg(test)]
mod tests;
