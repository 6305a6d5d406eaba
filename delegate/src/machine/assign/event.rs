//! What an [`Assigner`](super::Assigner) is told and what it answers.

use meridian_keyspace::Revision;
use smallvec::SmallVec;

use crate::{
    NodeName,
    machine::{Assignment, Term},
};

/// Which link of a node: a number that the driver gives each accepted link once. A node that comes back
/// before its old link was found dead has two for a while; only the newest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What happened at the hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node said hello.
    Joined {
        /// Who.
        node: NodeName,
        /// Over which link.
        link: LinkId,
        /// Where it serves members (host:port), if it can: only such a node may be a delegate.
        relay: Option<String>,
        /// The last revision it holds, zero if none.
        position: Revision,
        /// Whom it takes its region to follow (the assignment it holds, itself included); a node whose
        /// process has just begun holds none.
        follows: Option<NodeName>,
    },
    /// A link ended.
    Left {
        /// Whose.
        node: NodeName,
        /// Which; ignored unless it is the node's newest.
        link: LinkId,
    },
    /// A heartbeat came.
    Heard {
        /// From whom.
        node: NodeName,
        /// The last revision it holds.
        position: Revision,
    },
    /// A member gets no log from its delegate although that one may live.
    Complained {
        /// Which member.
        node: NodeName,
        /// Under which assignment; ignored if it is not the present one.
        term: Term,
    },
    /// The hub's own log moved on.
    Head {
        /// Its newest revision.
        revision: Revision,
    },
    /// [`TICK`](crate::machine::TICK) passed.
    Tick,
}

/// What the hub is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Tell a node, over its newest link.
    Assign {
        /// Whom.
        to: NodeName,
        /// What.
        assignment: Assignment,
    },
}

/// Mostly none; a change tells every node of its region.
pub type Commands = SmallVec<[Command; 2]>;
