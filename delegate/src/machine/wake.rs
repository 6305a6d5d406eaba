//! Finds that the process itself stood still (stopped, a suspended machine, a starved core).
//!
//! Owns one rule: silence counts only while we were awake to hear. After a stop the clock has gone on but
//! whatever others sent lies unread; without this rule the first event would declare all of them dead.

use std::time::Duration;

use super::TICK;

/// So long without an event, ticks included, was no scheduling delay: ten ticks. Half of the shortest silence acted on is 300 ms;
/// what stays unforgiven below the limit cannot by itself make a silence (500 < 600).
pub(super) const STOPPED_AFTER: Duration = Duration::from_millis(TICK.as_millis() as u64 * 10);

/// When the last event was.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wake {
    last: Option<Duration>,
}

impl Wake {
    /// Takes an event; how long we stood still, if we did: by so much every "heard at" is to be moved on.
    pub(super) fn event(&mut self, now: Duration) -> Option<Duration> {
        let last = self.last.replace(now)?;
        let passed = now.saturating_sub(last);
        (passed >= STOPPED_AFTER).then(|| passed.saturating_sub(TICK))
    }
}
