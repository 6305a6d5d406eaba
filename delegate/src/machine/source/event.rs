//! What a [`SourceChooser`](super::SourceChooser) is told and what it answers.

use std::fmt;

use meridian_keyspace::Revision;
use smallvec::SmallVec;

use crate::{
    NodeName,
    machine::{Assignment, Term},
};

/// Where the log is taken from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Nowhere.
    None,
    /// The hub whose link stands.
    Hub,
    /// The delegate of this name.
    Delegate(NodeName),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Hub => f.write_str("hub"),
            Self::Delegate(name) => write!(f, "delegate {name}"),
        }
    }
}

/// Why a relay answered a subscription with no. A relay that lost the history wanted says so to the
/// driver, which then takes a snapshot there: that is no refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It does not hold the assignment that the subscriber speaks of.
    NotHeld,
    /// It has not reached the revision that the subscriber stands at, or holds nothing yet.
    Behind,
}

/// What happened at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A hub welcomed us; its control stream stands. Another hub than before: first [`Event::HubDown`].
    HubUp,
    /// The link to the hub ended, and with it any stream on it.
    HubDown,
    /// The hub told us whom to follow.
    Assigned(Assignment),
    /// Another node of the region, over the link between us, told us the assignment it holds. Counts
    /// only once no hub does, and only if newer: a delegate cut from its hub hears so who took over.
    Told(Assignment),
    /// The link to the delegate of [`Command::ConnectDelegate`] stands.
    DelegateUp(NodeName),
    /// That link ended or could not be made; any stream on it ended too.
    DelegateDown(NodeName),
    /// A subscription was refused; what stood before stands.
    Refused {
        /// By whom.
        source: Source,
        /// Why.
        why: Refusal,
    },
    /// A subscription was answered: its stream is now the one in use, others are closed.
    StreamUp {
        /// Whose.
        source: Source,
    },
    /// The newest stream, or attempt at one, of this source ended.
    StreamDown {
        /// Whose.
        source: Source,
    },
    /// A heartbeat of the hub.
    HeardHub {
        /// Its newest revision.
        head: Revision,
    },
    /// A heartbeat of the delegate.
    HeardDelegate {
        /// Which.
        delegate: NodeName,
        /// The last revision it holds.
        position: Revision,
        /// Bytes of log and snapshot that it has received so far, whole batches or not: that this grows
        /// tells a delegate that is busy with one huge revision from one that stands still.
        received: u64,
    },
    /// Bytes of the log or of a snapshot came on the stream in use, a whole batch or not.
    Received,
    /// Our own log moved on.
    Advanced {
        /// The last revision we hold.
        revision: Revision,
    },
    /// [`TICK`](crate::machine::TICK) passed.
    Tick,
}

/// What a node is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make a link to this delegate at this address; replaces any earlier such attempt. The link to a former
    /// delegate is kept just as long as its stream is the one in use.
    ConnectDelegate(NodeName, String),
    /// Close every link to a delegate, and give up attempts.
    DropDelegate,
    /// Ask this source for the log from where we stand; replaces any earlier attempt. The stream in use is
    /// kept until the new one is answered (the window drops what comes twice).
    Subscribe(Source),
    /// Tell the hub that the delegate brings us no log.
    Complain {
        /// Under which assignment.
        term: Term,
    },
    /// The hub is silent or stands still: close its link and take the next (told to
    /// [`HubChooser`](crate::machine::hubs::HubChooser) as its link's end).
    DropHub,
}

/// Mostly none.
pub type Commands = SmallVec<[Command; 3]>;
