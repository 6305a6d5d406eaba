//! What a node knows of its hub's link.

use std::time::Duration;

use super::{HUB_BEHIND, HUB_SILENT, RETRY_SOON, STEADY_AFTER};

#[derive(Debug, Default)]
pub(super) struct Hub {
    /// Since when its link stands.
    up: Option<Duration>,
    heard: Duration,
    /// Not to be asked before.
    pause_until: Duration,
    /// Since when it answers that it is behind us.
    behind: Option<Duration>,
    strikes: u32,
}

impl Hub {
    pub(super) fn came_up(&mut self, now: Duration) {
        *self = Self {
            up: Some(now),
            heard: now,
            ..Self::default()
        };
    }

    pub(super) fn ended(&mut self) {
        self.up = None;
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.is_some()
    }

    pub(super) fn up_for(&self, now: Duration) -> Duration {
        self.up
            .map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    pub(super) fn heard(&mut self, now: Duration) {
        self.heard = now;
    }

    pub(super) fn is_silent(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) >= HUB_SILENT
    }

    pub(super) fn may_be_asked(&self, now: Duration) -> bool {
        self.is_up() && now >= self.pause_until
    }

    pub(super) fn asked(&mut self, now: Duration) {
        self.pause_until = now.saturating_add(RETRY_SOON);
    }

    pub(super) fn answered(&mut self) {
        self.behind = None;
    }

    pub(super) fn refused(&mut self, now: Duration) {
        self.heard = now;
        self.behind.get_or_insert(now);
        self.pause_until = now.saturating_add(RETRY_SOON);
    }

    pub(super) fn is_behind(&self, now: Duration) -> bool {
        self.behind
            .is_some_and(|since| now.saturating_sub(since) >= HUB_BEHIND)
    }

    pub(super) fn stream_ended(&mut self, now: Duration, stood: Option<Duration>) {
        if stood.is_none_or(|stood| stood < STEADY_AFTER) {
            self.strike();
            self.pause_until = now.saturating_add(RETRY_SOON);
        }
    }

    pub(super) fn strike(&mut self) {
        self.strikes = self.strikes.saturating_add(1);
    }

    pub(super) fn strikes(&self) -> u32 {
        self.strikes
    }

    pub(super) fn forget_strikes(&mut self) {
        self.strikes = 0;
    }

    pub(super) fn forgive(&mut self, forgive: impl Fn(&mut Duration)) {
        forgive(&mut self.heard);
        self.behind.as_mut().map(&forgive);
    }
}
