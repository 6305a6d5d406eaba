//! What a stream is for: its first byte.
//!
//! Owns the numbers on the wire, and per kind the priority and the bounds of what may come.

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Hello, assignment, heartbeats; one for the life of the link.
    Control,
    /// One subscription to the log.
    Log,
    /// One snapshot for a joiner.
    Snapshot,
    /// One unary call.
    UnaryCall,
    /// One streaming call.
    StreamingCall,
    /// One read index of the home.
    ReadIndex,
    /// One read index that the region shares.
    RegionReadIndex,
    /// The changes of one range.
    FollowRange,
    /// What the home is.
    Describe,
    /// Whether the home has authentication enabled.
    AuthEnabled,
    /// The status of the node that is asked.
    Status,
    /// The status of every node, asked of the hub.
    StatusAll,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Control,
        Self::Log,
        Self::Snapshot,
        Self::UnaryCall,
        Self::StreamingCall,
        Self::ReadIndex,
        Self::RegionReadIndex,
        Self::FollowRange,
        Self::Describe,
        Self::AuthEnabled,
        Self::Status,
        Self::StatusAll,
    ];

    /// The stream's first byte.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Log => 2,
            Self::Snapshot => 3,
            Self::UnaryCall => 4,
            Self::StreamingCall => 5,
            Self::ReadIndex => 6,
            Self::RegionReadIndex => 7,
            Self::FollowRange => 8,
            Self::Describe => 9,
            Self::AuthEnabled => 10,
            Self::Status => 11,
            Self::StatusAll => 12,
        }
    }

    /// The kind of a first byte; none if this release knows no such kind.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }

    /// Streams of a higher priority send first: control and probes are small and urgent, calls are
    /// waited for, the log may be a step behind them. A snapshot shares with the log: where the log
    /// fills all that a way carries, a joiner behind it would never be through.
    pub(super) const fn priority(self) -> i32 {
        match self {
            Self::Control | Self::ReadIndex | Self::RegionReadIndex => 3,
            Self::UnaryCall
            | Self::StreamingCall
            | Self::Describe
            | Self::AuthEnabled
            | Self::Status
            | Self::StatusAll => 2,
            Self::Log | Self::FollowRange | Self::Snapshot => 1,
        }
    }

    /// The largest message of ours: control messages and heads. A snapshot's request holds a key (up
    /// to etcd's 1.5 MiB), a call's head its metadata (the etcd door allows 64 KiB).
    pub(super) const fn message_bytes_max(self) -> usize {
        match self {
            Self::Snapshot | Self::FollowRange => 4 << 20,
            Self::Control
            | Self::Log
            | Self::UnaryCall
            | Self::StreamingCall
            | Self::ReadIndex
            | Self::RegionReadIndex
            | Self::Describe
            | Self::AuthEnabled
            | Self::Status
            | Self::StatusAll => 256 << 10,
        }
    }

    /// The largest frame of somebody else's bytes. A gRPC message has at most 2 GiB with etcd's Go
    /// clients; changes of one revision may be 64 MiB of tombstones with what they replaced; a status is a
    /// few KiB of JSON for each of some thousands of nodes, and a node's own a line for each of as many
    /// members. Memory is taken as bytes arrive, not by what a frame says of itself.
    pub(super) const fn frame_bytes_max(self) -> usize {
        match self {
            Self::UnaryCall | Self::StreamingCall | Self::FollowRange => i32::MAX as usize,
            Self::StatusAll => 16 << 20,
            Self::Status => 1 << 20,
            Self::Snapshot => 4 << 20,
            Self::Control
            | Self::Log
            | Self::ReadIndex
            | Self::RegionReadIndex
            | Self::Describe
            | Self::AuthEnabled => 256 << 10,
        }
    }
}
