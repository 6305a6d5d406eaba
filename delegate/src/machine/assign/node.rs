//! One joined node, as its hub sees it.

use std::time::Duration;

use meridian_keyspace::Revision;

use super::{COMPLAINT_APART, COMPLAINT_FRESH, HEARD_LATE, LinkId};
use crate::NodeName;

/// What a node says when it joins.
#[derive(Clone, Debug)]
pub(super) struct Hello {
    pub(super) link: LinkId,
    pub(super) relay: Option<String>,
    pub(super) position: Revision,
    pub(super) follows: Option<NodeName>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) link: LinkId,
    pub(super) relay: Option<String>,
    pub(super) position: Revision,
    pub(super) heard: Duration,
    complaint: Option<Complaint>,
}

/// Complaints about the present assignment.
#[derive(Clone, Copy, Debug)]
struct Complaint {
    last: Duration,
    /// Whether it came more than once, [`COMPLAINT_APART`].
    repeated: bool,
}

impl Node {
    pub(super) fn new(now: Duration, hello: Hello) -> Self {
        let Hello {
            link,
            relay,
            position,
            follows: _,
        } = hello;
        Self {
            link,
            relay,
            position,
            heard: now,
            complaint: None,
        }
    }

    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.heard) < HEARD_LATE
    }

    pub(super) fn complain(&mut self, now: Duration) {
        let repeated = match self.complaint(now) {
            // The first of a quick pair stands, so that the second is measured from it.
            Some(before) if now.saturating_sub(before.last) < COMPLAINT_APART => return,
            Some(_) => true,
            None => false,
        };
        self.complaint = Some(Complaint {
            last: now,
            repeated,
        });
    }

    pub(super) fn complains(&self, now: Duration) -> bool {
        self.complaint(now).is_some()
    }

    pub(super) fn complains_repeatedly(&self, now: Duration) -> bool {
        self.complaint(now)
            .is_some_and(|complaint| complaint.repeated)
    }

    pub(super) fn forget_complaint(&mut self) {
        self.complaint = None;
    }

    fn complaint(&self, now: Duration) -> Option<Complaint> {
        self.complaint
            .filter(|complaint| now.saturating_sub(complaint.last) < COMPLAINT_FRESH)
    }
}
