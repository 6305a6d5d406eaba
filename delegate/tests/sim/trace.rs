//! What happened, as a hash, and as text where a person wants it.

use std::hash::{DefaultHasher, Hash, Hasher};

pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(is_kept: bool) -> Self {
        // Its keys are fixed: the same lines give the same number.
        Self {
            hasher: DefaultHasher::new(),
            lines: is_kept.then(Vec::new),
        }
    }

    pub(crate) fn hash_in(&mut self, what: impl Hash) {
        what.hash(&mut self.hasher);
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let line = line();
            line.hash(&mut self.hasher);
            lines.push(line);
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}
