//! What a node knows of the assigned delegate, another node, and of the link to it.

use std::time::Duration;

use meridian_keyspace::Revision;

use super::{FALLBACK_AFTER, RETRY_FORGOTTEN, RETRY_MAX, RETRY_MIN, RETRY_SOON, STEADY_AFTER};
use crate::NodeName;

#[derive(Debug, Default)]
pub(super) struct Delegate {
    assigned: Option<Assigned>,
    /// Whether a link may stand that no assignment needs any more.
    is_linked: bool,
}

#[derive(Debug)]
struct Assigned {
    name: NodeName,
    link: Link,
    /// Since when its stream is missed: from the first attempt on, or from when it broke.
    missed: Duration,
    heard: Duration,
    /// Not to be asked before.
    pause_until: Duration,
    /// How long it is to be left alone when it is left the next time.
    rest: Duration,
    position: Revision,
    received: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Connecting,
    Up,
    /// Broke; made anew then.
    Broken {
        until: Duration,
    },
    /// Left for the hub; tried again then. The link is kept if it works: it is the stream that does not.
    Left {
        until: Duration,
        is_up: bool,
    },
}

impl Delegate {
    /// A (newer) assignment names it; whether it is to be connected at once.
    pub(super) fn assigned(&mut self, now: Duration, name: &NodeName) -> bool {
        self.is_linked = true;
        if let Some(assigned) = self.of_name(name) {
            assigned.rest = RETRY_MIN;
            match assigned.link {
                Link::Connecting | Link::Up => return false,
                // Its time has come: what follows tries it again.
                Link::Left { is_up: true, .. } => {
                    assigned.link = Link::Left {
                        until: now,
                        is_up: true,
                    };
                    return false;
                }
                Link::Broken { .. } | Link::Left { is_up: false, .. } => {}
            }
        }
        self.assigned = Some(Assigned {
            name: name.clone(),
            link: Link::Connecting,
            missed: now,
            heard: now,
            pause_until: now,
            rest: RETRY_MIN,
            position: Revision::ZERO,
            received: 0,
        });
        true
    }

    pub(super) fn unassigned(&mut self) {
        self.assigned = None;
    }

    pub(super) fn name(&self) -> Option<&NodeName> {
        self.assigned.as_ref().map(|assigned| &assigned.name)
    }

    pub(super) fn came_up(&mut self, now: Duration, name: &NodeName) {
        if let Some(assigned) = self.of_name(name)
            && assigned.link == Link::Connecting
        {
            assigned.link = Link::Up;
            assigned.heard = now;
        }
    }

    pub(super) fn link_ended(&mut self, now: Duration, name: &NodeName, stood: Option<Duration>) {
        self.stream_ended(now, name, stood);
        if let Some(assigned) = self.of_name(name)
            && matches!(assigned.link, Link::Connecting | Link::Up)
        {
            let until = now.saturating_add(RETRY_SOON);
            assigned.link = Link::Broken { until };
        } else if let Some(assigned) = self.of_name(name)
            && let Link::Left { is_up, .. } = &mut assigned.link
        {
            *is_up = false;
        }
    }

    /// Its stream ended; `stood`: how long it stood, if it did.
    pub(super) fn stream_ended(&mut self, now: Duration, name: &NodeName, stood: Option<Duration>) {
        if let Some(assigned) = self.of_name(name) {
            if stood.is_some_and(|stood| stood >= STEADY_AFTER) {
                assigned.missed = now;
            }
            assigned.pause_until = now.saturating_add(RETRY_SOON);
        }
    }

    pub(super) fn refused(&mut self, now: Duration, name: &NodeName) {
        if let Some(assigned) = self.of_name(name) {
            assigned.heard = now;
            assigned.pause_until = now.saturating_add(RETRY_SOON);
        }
    }

    pub(super) fn heard(&mut self, now: Duration, name: &NodeName) {
        if let Some(assigned) = self.of_name(name) {
            assigned.heard = now;
        }
    }

    /// Takes what its heartbeat says; whether since the last one it received bytes, but no whole batch.
    pub(super) fn counted(&mut self, name: &NodeName, position: Revision, received: u64) -> bool {
        let Some(assigned) = self.of_name(name) else {
            return false;
        };
        let before = std::mem::replace(&mut assigned.received, received);
        let stood = std::mem::replace(&mut assigned.position, position);
        received > before && position == stood
    }

    /// It cannot serve us yet, for a good reason.
    pub(super) fn is_busy(&mut self, now: Duration, name: &NodeName) {
        if let Some(assigned) = self.of_name(name) {
            assigned.missed = now;
        }
    }

    pub(super) fn has_no_more_than(&self, position: Revision) -> bool {
        self.assigned
            .as_ref()
            .is_some_and(|assigned| assigned.position <= position)
    }

    /// Whether it is silent, or its stream is missed for too long.
    pub(super) fn is_late(&self, now: Duration, streams: bool) -> bool {
        let Some(assigned) = &self.assigned else {
            return false;
        };
        let is_late = |since: Duration| now.saturating_sub(since) >= FALLBACK_AFTER;
        match assigned.link {
            Link::Connecting | Link::Broken { .. } => is_late(assigned.missed),
            Link::Up => is_late(assigned.heard) || (!streams && is_late(assigned.missed)),
            Link::Left { .. } => false,
        }
    }

    /// Leaves it alone for a while, longer each time; whether its link works and is kept.
    pub(super) fn leave(&mut self, now: Duration) -> bool {
        self.is_linked = false;
        if let Some(assigned) = &mut self.assigned {
            let is_silent = now.saturating_sub(assigned.heard) >= FALLBACK_AFTER;
            self.is_linked = assigned.link == Link::Up && !is_silent;
            assigned.link = Link::Left {
                until: now.saturating_add(assigned.rest),
                is_up: self.is_linked,
            };
            assigned.rest = (assigned.rest * 2).min(RETRY_MAX);
        }
        self.is_linked
    }

    pub(super) fn is_left(&self) -> bool {
        let link = self.assigned.as_ref().map(|assigned| assigned.link);
        matches!(link, Some(Link::Left { .. }))
    }

    pub(super) fn retry_now(&mut self, now: Duration) {
        if let Some(assigned) = &mut self.assigned
            && let Link::Left { until, .. } = &mut assigned.link
        {
            *until = now;
        }
    }

    /// Tries it again if its time has come; whether a link is to be made for that.
    pub(super) fn is_to_be_connected(&mut self, now: Duration) -> bool {
        let Some(assigned) = &mut self.assigned else {
            return false;
        };
        match assigned.link {
            Link::Left { until, is_up: true } if now >= until => {
                assigned.link = Link::Up;
                assigned.missed = now;
                assigned.heard = now;
                false
            }
            Link::Broken { until }
            | Link::Left {
                until,
                is_up: false,
            } => now >= until,
            Link::Connecting | Link::Up | Link::Left { is_up: true, .. } => false,
        }
    }

    pub(super) fn connecting(&mut self, now: Duration) {
        self.is_linked = true;
        if let Some(assigned) = &mut self.assigned {
            if matches!(assigned.link, Link::Left { .. }) {
                assigned.missed = now;
            }
            assigned.link = Link::Connecting;
            assigned.heard = now;
        }
    }

    /// Its name if it may be asked for the log.
    pub(super) fn ready(&self, now: Duration) -> Option<&NodeName> {
        let assigned = self.assigned.as_ref()?;
        (assigned.link == Link::Up && now >= assigned.pause_until).then_some(&assigned.name)
    }

    pub(super) fn streams_steadily(&mut self, stood: Duration) {
        if let Some(assigned) = &mut self.assigned
            && stood >= RETRY_FORGOTTEN
        {
            assigned.rest = RETRY_MIN;
        }
    }

    /// Whether a link may stand that nobody needs; takes it for dropped.
    pub(super) fn is_of_no_use(&mut self) -> bool {
        self.assigned.is_none() && std::mem::take(&mut self.is_linked)
    }

    pub(super) fn forgive(&mut self, forgive: impl Fn(&mut Duration)) {
        if let Some(assigned) = &mut self.assigned {
            forgive(&mut assigned.heard);
            forgive(&mut assigned.missed);
        }
    }

    fn of_name(&mut self, name: &NodeName) -> Option<&mut Assigned> {
        self.assigned
            .as_mut()
            .filter(|assigned| assigned.name == *name)
    }
}
