//! The decisions of the link as pure machines: who is a region's delegate ([`assign`]), which hub a node
//! uses ([`hubs`]), where a node's one log subscription goes ([`source`]).
//!
//! Events and the time since the process began go in, commands come out. Invariant: a machine never
//! awaits, logs, reads a clock, draws a random number or knows a socket, so the same events give the same
//! commands. Each wants [`TICK`] for as long as it lives.
//!
//! The bound they hold together, for any single fault at a round trip of up to 220 ms (all in ms):
//!
//! | fault | found | told | log | sum |
//! |---|---|---|---|---|
//! | delegate dead, hung or cut off, seen by a member | 600 + 50 silence | | 220 subscribe at the hub | 870 |
//! | delegate cut from the hub | 110 + 800 + 50 silence at the hub | 110 assignment | 220 subscribe | 1,290 |
//! | delegate stands still but speaks | 200 + 110 + 800 + 50 head not reached | | 220 subscribe | 1,380 |
//! | delegate follows slowly | 200 + 110 + 800 + 50 head not reached, 110 complaint | 110 assignment | 220 subscribe | 1,600 |
//! | hub dead or hung | 800 + 50 silence | 440 dial and hello of the next | 220 subscribe | 1,510 |
//! | cut healed | 800 the dial under way ends, 50 | 440 dial and hello | 220 subscribe | 1,510 |

pub mod assign;
mod head;
pub mod hubs;
pub mod source;
mod wake;

use std::{fmt, time::Duration};

use crate::NodeName;

/// How often a driver sends `Tick`: what it adds to each time below, and small beside the shortest (600 ms).
pub const TICK: Duration = Duration::from_millis(50);

/// How often each end of a control stream says that it lives and where it stands: hub to node, node to hub,
/// delegate to member. Three fit into the shortest silence that anyone acts on.
pub const HEARTBEAT: Duration = Duration::from_millis(200);

/// Which assignment of a hub is newer. Terms of one hub grow by each change and, since a hub begins
/// at its unix time in milliseconds and changes less than once in one, over its restarts as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u64);

impl Term {
    /// The term with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number as it goes over the wire.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The term after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whom a region takes the log from, as its hub says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Grows by each change.
    pub term: Term,
    /// The delegate and where it serves members (host:port); `None`: each node takes the log from the hub.
    pub delegate: Option<(NodeName, String)>,
}

impl Assignment {
    /// The delegate's name.
    pub fn delegate_name(&self) -> Option<&NodeName> {
        self.delegate.as_ref().map(|(name, _)| name)
    }
}
