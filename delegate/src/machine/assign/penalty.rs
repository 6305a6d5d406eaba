//! Who was replaced as delegate lately: not to be named again at once, however good it looks.
//!
//! Bound: an entry per replaced node, gone [`PENALTY_MAX`] after its penalty's end; a region changes its
//! delegate at most once a tick, and a node that flaps has one entry.

use std::{collections::BTreeMap, time::Duration};

use super::{PENALTY_MAX, PENALTY_MIN};
use crate::NodeName;

#[derive(Debug, Default)]
pub(super) struct Penalties {
    of: BTreeMap<NodeName, Penalty>,
}

#[derive(Clone, Copy, Debug)]
struct Penalty {
    until: Duration,
    length: Duration,
}

impl Penalties {
    /// Begins a penalty, twice as long as the last one if that is not forgotten.
    pub(super) fn penalise(&mut self, now: Duration, node: NodeName) {
        self.prune(now);
        let length = match self.of.get(&node) {
            Some(last) => (last.length * 2).min(PENALTY_MAX),
            None => PENALTY_MIN,
        };
        let until = now.saturating_add(length);
        self.of.insert(node, Penalty { until, length });
    }

    pub(super) fn holds(&self, now: Duration, node: &NodeName) -> bool {
        self.of.get(node).is_some_and(|penalty| now < penalty.until)
    }

    pub(super) fn prune(&mut self, now: Duration) {
        self.of
            .retain(|_, penalty| now < penalty.until.saturating_add(PENALTY_MAX));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}
