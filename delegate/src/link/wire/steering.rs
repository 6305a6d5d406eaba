//! Messages of the control stream.

use crate::{
    NodeName,
    machine::{Assignment, Term},
};

/// A node's name.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Name {
    /// Its region.
    #[prost(string, tag = "1")]
    pub region: String,
    /// Its name there.
    #[prost(string, tag = "2")]
    pub name: String,
}

impl From<&NodeName> for Name {
    fn from(name: &NodeName) -> Self {
        Self {
            region: name.region.clone(),
            name: name.name.clone(),
        }
    }
}

impl From<Name> for NodeName {
    fn from(Name { region, name }: Name) -> Self {
        Self { region, name }
    }
}

/// A place in the log.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Place {
    /// The epoch.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// The last revision that is there.
    #[prost(int64, tag = "2")]
    pub revision: i64,
}

/// The first message of the node that dialled.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// What it speaks; see [`PROTOCOL`](super::PROTOCOL).
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// Who it is; must be what its certificate says.
    #[prost(message, optional, tag = "2")]
    pub name: Option<Name>,
    /// Where it serves members of its region (host:port), if it does.
    #[prost(string, optional, tag = "3")]
    pub relay: Option<String>,
    /// What it has of the log.
    #[prost(message, optional, tag = "4")]
    pub at: Option<Place>,
    /// Drawn by chance when its process began: tells a restart from a reconnect.
    #[prost(fixed64, tag = "5")]
    pub instance: u64,
    /// Which home the log it has is of; zero if it has none.
    #[prost(fixed64, tag = "6")]
    pub lineage: u64,
    /// The term of the assignment it holds.
    #[prost(uint64, tag = "7")]
    pub term: u64,
    /// Whom it takes its region to follow; none if its process has just begun.
    #[prost(message, optional, tag = "8")]
    pub follows: Option<Name>,
}

/// The answer to [`Hello`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// What the other end speaks.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// Who it is.
    #[prost(message, optional, tag = "2")]
    pub name: Option<Name>,
    /// Which home its log is of.
    #[prost(fixed64, tag = "3")]
    pub lineage: u64,
    /// The end of its log.
    #[prost(message, optional, tag = "4")]
    pub head: Option<Place>,
    /// Drawn by chance when its process began.
    #[prost(fixed64, tag = "5")]
    pub instance: u64,
    /// The term of its newest assignment for the region.
    #[prost(uint64, tag = "6")]
    pub term: u64,
}

/// Sent by both ends, all the time.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Heartbeat {
    /// What the sender has of the log; of a hub, its head.
    #[prost(message, optional, tag = "1")]
    pub at: Option<Place>,
    /// The term of the assignment it goes by.
    #[prost(uint64, tag = "2")]
    pub term: u64,
    /// Counts the sender's heartbeats on this link.
    #[prost(uint64, tag = "3")]
    pub sequence: u64,
    /// The highest sequence it has heard from the other end.
    #[prost(uint64, tag = "4")]
    pub heard: u64,
    /// Bytes of log and snapshots that the sender has received since its process began.
    #[prost(uint64, tag = "5")]
    pub received: u64,
}

/// Whom the region takes the log from.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Assigned {
    /// Grows by each change.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// The delegate; none: take the log from the hub.
    #[prost(message, optional, tag = "2")]
    pub delegate: Option<Name>,
    /// Where it serves members (host:port).
    #[prost(string, tag = "3")]
    pub relay: String,
}

impl From<&Assignment> for Assigned {
    fn from(assignment: &Assignment) -> Self {
        let Assignment { term, delegate } = assignment;
        let relay = delegate.as_ref().map(|(_, relay)| relay.clone());
        Self {
            term: term.get(),
            delegate: delegate.as_ref().map(|(name, _)| name.into()),
            relay: relay.unwrap_or_default(),
        }
    }
}

impl From<Assigned> for Assignment {
    fn from(assigned: Assigned) -> Self {
        let Assigned {
            term,
            delegate,
            relay,
        } = assigned;
        Self {
            term: Term::new(term),
            delegate: delegate.map(|name| (name.into(), relay)),
        }
    }
}

/// A member cannot take the log from its delegate.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Complaint {
    /// The assignment it complains of.
    #[prost(uint64, tag = "1")]
    pub term: u64,
    /// What is wrong, for the log.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// One message of the control stream, either way.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Control {
    /// What it says; none if this release does not know it: it is skipped.
    #[prost(oneof = "control::Body", tags = "1, 2, 3, 4, 5")]
    pub body: Option<control::Body>,
}

/// The kinds of [`Control`].
pub mod control {
    /// What a control message says.
    #[derive(Clone, PartialEq, prost::Oneof)]
    pub enum Body {
        /// The first message of the node that dialled.
        #[prost(message, tag = "1")]
        Hello(super::Hello),
        /// Its answer.
        #[prost(message, tag = "2")]
        Welcome(super::Welcome),
        /// A sign of life.
        #[prost(message, tag = "3")]
        Heartbeat(super::Heartbeat),
        /// Whom to take the log from.
        #[prost(message, tag = "4")]
        Assigned(super::Assigned),
        /// A member's complaint.
        #[prost(message, tag = "5")]
        Complaint(super::Complaint),
    }

    impl From<Body> for super::Control {
        fn from(body: Body) -> Self {
            Self { body: Some(body) }
        }
    }
}
