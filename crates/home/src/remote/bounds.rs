//! Every wait of the room, with its arithmetic.

use std::time::Duration;

use meridian_etcd_api::Method;

/// How long an ordinary call may take where the client named no deadline: etcd's own limit is 5 s
/// plus two election timeouts, 7 s by default; 3 s more for the way and for a slow disk's answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// For calls whose work grows with the store (hashing, defragmenting, compacting at once): 8 GiB,
/// etcd's advised maximum, at 20 MB/s.
pub(super) const LONG_CALL_TIMEOUT: Duration = Duration::from_secs(400);

/// To open a TCP connection and finish TLS: a lost SYN and its repetition (1 s, 2 s) and as much
/// again.
pub(super) const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// Pauses between dials of one endpoint.
pub(super) const DIAL_PAUSE: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(3));

/// HTTP/2 pings on a connection with calls under way. etcd answers more than two pings within its
/// minimum of 5 s with GOAWAY; twice that is safe. Silent death is found within 15 s.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(10);
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// How often each connection asks for the member's status, and how long the member has: Status
/// touches neither disk nor Raft, so a healthy member answers within milliseconds. A member that
/// hangs is noticed within the sum of both.
pub(super) const SURVEY_INTERVAL: Duration = Duration::from_secs(2);
pub(super) const SURVEY_TIMEOUT: Duration = Duration::from_secs(2);

/// Unanswered surveys in a row after which a connection is given up.
pub(super) const SURVEYS_MISSED_MAX: u32 = 3;

/// How long new calls avoid an endpoint that failed one: longer than a survey's interval and its
/// answer, so that a member that stays without leader, or silent, stays avoided.
pub(super) const ASIDE: Duration = Duration::from_secs(6);

/// An endpoint that left an ordinary call unanswered for this long is set aside; less time says
/// nothing. An etcd that is well answers in milliseconds, a busy one in tenths of a second.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// A read index, over all endpoints, and at one of them: three members get their turn.
pub(super) const READ_INDEX_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const READ_INDEX_ATTEMPT: Duration = Duration::from_secs(1);

/// A page of a snapshot: 16 MiB at 1 MB/s, and etcd's own limit on a request.
pub(super) const PAGE_TIMEOUT: Duration = Duration::from_secs(25);

/// How long opening a watch may take, up to its created answer.
pub(super) const WATCH_OPEN_TIMEOUT: Duration = Duration::from_secs(7);

/// Sendings of one read, the first included.
pub(super) const READ_ATTEMPTS_MAX: u32 = 4;

/// Pauses between sendings of one call.
pub(super) const RESEND_PAUSE: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_millis(250));

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as an ordinary call.
    Ordinary,
    /// As long as work on the whole store.
    Long,
    /// For ever: it waits for another client.
    Endless,
}

impl Patience {
    /// What a method's answer deserves. Most methods are ordinary, so only the others are named.
    pub(super) const fn of(method: Method) -> Self {
        match method {
            Method::LockLock | Method::ElectionCampaign => Self::Endless,
            Method::KvCompact
            | Method::MaintenanceDefragment
            | Method::MaintenanceHash
            | Method::MaintenanceHashKv
            | Method::MaintenanceMoveLeader
            | Method::MaintenanceDowngrade
            | Method::ClusterMemberPromote => Self::Long,
            _ => Self::Ordinary,
        }
    }
}
