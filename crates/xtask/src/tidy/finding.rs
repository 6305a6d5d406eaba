//! One broken rule at one place.
//!
//! Invariant: it says where, what is wrong, and what would be right there.

use std::fmt;

/// A place that breaks a rule; sorted by place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    wrong: String,
    right: String,
}

impl Finding {
    /// `path` is relative to the root, `line` counts from 1.
    pub(crate) fn new(path: &str, line: usize, wrong: String, right: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            wrong,
            right: right.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}; right would be: {}",
            self.path, self.line, self.wrong, self.right
        )
    }
}
