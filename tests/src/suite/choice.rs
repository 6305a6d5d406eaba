//! Which cases on which targets: the words of the command line.

use crate::target::Kind;

/// The words a test binary is called with.
#[derive(Debug, Default)]
pub struct Choice {
    filters: Vec<String>,
    list: bool,
}

impl Choice {
    /// Reads `cargo test`'s arguments; what it does not know it leaves alone.
    #[must_use]
    pub fn from_args() -> Self {
        let mut choice = Self::default();
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--list" => choice.list = true,
                option if option.starts_with('-') => {}
                _ => choice.filters.push(argument),
            }
        }
        choice
    }

    /// Whether it only asks for the names.
    #[must_use]
    pub fn is_list(&self) -> bool {
        self.list
    }

    /// Whether a case on `kind` could be among the chosen, as far as the words name targets.
    #[must_use]
    pub fn may_take(&self, kind: Kind) -> bool {
        let names_target = |filter: &&String| {
            ["etcd-", "gateway-", "dev-"]
                .iter()
                .any(|t| filter.starts_with(t))
        };
        self.filters
            .iter()
            .filter(names_target)
            .all(|filter| kind.name().contains(filter.as_str()))
    }

    /// Whether `case` on `target` is among the chosen.
    pub(super) fn takes(&self, target: &str, case: &str) -> bool {
        let full = format!("{target} {case}");
        // Every word must fit: `etcd-3.6 watch` is the watch cases on etcd 3.6.
        self.filters
            .iter()
            .all(|filter| full.contains(filter.as_str()))
    }
}
