//! What the newest revision was a while ago, as far as it was told.
//!
//! Owns one sample per tick at most, as many as fit into the time asked for and one more: 21 for a second.

use std::{collections::VecDeque, time::Duration};

use meridian_keyspace::Revision;

use super::TICK;

/// The heads of the last while.
#[derive(Debug)]
pub(super) struct HeadHistory {
    late: Duration,
    newest: Revision,
    samples: VecDeque<(Duration, Revision)>,
}

impl HeadHistory {
    /// A history that can tell what the head was `late` ago.
    pub(super) fn new(late: Duration) -> Self {
        Self {
            late,
            newest: Revision::ZERO,
            samples: VecDeque::new(),
        }
    }

    /// The head moved on.
    pub(super) fn told(&mut self, now: Duration, head: Revision) {
        self.newest = self.newest.max(head);
        let is_new = |at: Duration| now.saturating_sub(at) >= TICK;
        if self.samples.back().is_none_or(|(at, _)| is_new(*at)) {
            self.samples.push_back((now, self.newest));
        }
    }

    /// Drops what is older than the newest that is late enough.
    pub(super) fn tick(&mut self, now: Duration) {
        self.told(now, self.newest);
        while self
            .samples
            .get(1)
            .is_some_and(|next| self.is_late(next.0, now))
        {
            self.samples.pop_front();
        }
    }

    /// The head as it was a while ago, unless we were not there to hear it.
    pub(super) fn late(&self, now: Duration) -> Option<Revision> {
        let late = |sample: &&(Duration, Revision)| self.is_late(sample.0, now);
        self.samples.iter().rev().find(late).map(|(_, head)| *head)
    }

    /// Nothing was told, or not in time.
    pub(super) fn forget(&mut self) {
        self.newest = Revision::ZERO;
        self.samples.clear();
    }

    /// As if all had been told just now.
    pub(super) fn forgive(&mut self) {
        self.samples.clear();
    }

    fn is_late(&self, at: Duration, now: Duration) -> bool {
        now.saturating_sub(at) >= self.late
    }
}
