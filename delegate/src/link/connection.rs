//! One link: a QUIC connection whose other end is known by name.
//!
//! Owns the opening and accepting of streams, and what is told of the path. Invariant: a stream
//! whose first byte is lost on the way holds up no stream after it.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Either},
    stream::FuturesUnordered,
};
use parking_lot::Mutex;
use quinn::{ConnectionError, VarInt};

use super::{
    Kind,
    metrics::OpenLink,
    stream::{Recv, Send, UNKNOWN_KIND},
};
use crate::NodeName;

/// Streams whose first byte has not come, while others are accepted. They are few (a lost packet)
/// unless a peer is up to no good: then accepting waits.
const UNBEGUN_MAX: usize = 256;

/// The round trip is looked at no more often than this for the jitter.
const JITTER_INTERVAL: Duration = Duration::from_millis(100);

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// We closed it.
    #[error("the link was closed here")]
    Here,
    /// The other end closed it, saying why; a refusal of our certificate comes so too.
    #[error("the other end closed the link: {0}")]
    There(String),
    /// It fell silent, or broke.
    #[error("the link was lost: {0}")]
    Lost(String),
}

impl From<ConnectionError> for Closed {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::LocallyClosed => Self::Here,
            ConnectionError::ApplicationClosed(close) => {
                Self::There(String::from_utf8_lossy(&close.reason).into_owned())
            }
            ConnectionError::ConnectionClosed(close) => Self::There(close.to_string()),
            ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::CidsExhausted => Self::Lost(error.to_string()),
        }
    }
}

/// Round-trip times of a link, as QUIC measures them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rtt {
    /// The shortest.
    pub min: Duration,
    /// The smoothed one.
    pub smoothed: Duration,
    /// How much the smoothed one moves, itself smoothed.
    pub jitter: Duration,
}

/// UDP payload bytes of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Sent.
    pub sent: u64,
    /// Received.
    pub received: u64,
}

/// A link; cloning it gives another handle.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

struct Inner {
    connection: quinn::Connection,
    peer: NodeName,
    unbegun: tokio::sync::Mutex<FuturesUnordered<BoxFuture<'static, Option<Accepted>>>>,
    jitter: Mutex<Jitter>,
    _open: OpenLink,
}

type Accepted = (Kind, Send, Recv);

#[derive(Default)]
struct Jitter {
    seen: Option<(Instant, Duration)>,
    value: Duration,
}

impl Link {
    pub(super) fn new(connection: quinn::Connection, peer: NodeName) -> Self {
        let inner = Inner {
            connection,
            peer,
            unbegun: tokio::sync::Mutex::default(),
            jitter: Mutex::default(),
            _open: OpenLink::opened(),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Who is at the other end, as its certificate says.
    pub fn peer(&self) -> &NodeName {
        &self.inner.peer
    }

    /// Where the other end is now.
    pub fn remote_address(&self) -> SocketAddr {
        self.inner.connection.remote_address()
    }

    /// Opens a stream. Nothing is sent before the first write; waits while the other end has as
    /// many streams open as it allows. Cancel-safe.
    ///
    /// # Errors
    /// The link is gone.
    pub async fn open(&self, kind: Kind) -> Result<(Send, Recv), Closed> {
        let (send, recv) = self.inner.connection.open_bi().await?;
        Ok((
            Send::opened(send, kind),
            Recv::new(recv, kind, Bytes::new()),
        ))
    }

    /// The next stream that the other end has opened; none when the link is gone. One of a kind
    /// that this release does not know is refused. Cancel-safe; one caller at a time.
    pub async fn accept(&self) -> Option<(Kind, Send, Recv)> {
        let mut unbegun = self.inner.unbegun.lock().await;
        loop {
            let room = unbegun.len() < UNBEGUN_MAX;
            let begun = match unbegun.is_empty() {
                true => Either::Left(std::future::pending()),
                false => Either::Right(unbegun.next()),
            };
            tokio::select! {
                begun = begun => {
                    if let Some(Some(accepted)) = begun {
                        return Some(accepted);
                    }
                }
                stream = self.inner.connection.accept_bi(), if room => {
                    let (send, recv) = stream.ok()?;
                    let mut begin = begin(send, recv).boxed();
                    match (&mut begin).now_or_never() {
                        Some(Some(accepted)) => return Some(accepted),
                        Some(None) => {}
                        None => unbegun.push(begin),
                    }
                }
            }
        }
    }

    /// Sends a datagram: once, in no order, ahead of all streams. If many wait, the oldest is dropped;
    /// one that the other end does not take is, too.
    pub fn send_datagram(&self, bytes: Bytes) {
        // A dead link is found by whoever waits on it.
        let _ = self.inner.connection.send_datagram(bytes);
    }

    /// The next datagram that arrives. Cancel-safe; one caller at a time.
    ///
    /// # Errors
    /// The link is gone.
    pub async fn datagram(&self) -> Result<Bytes, Closed> {
        Ok(self.inner.connection.read_datagram().await?)
    }

    /// Waits for the link's end. Cancel-safe.
    pub async fn closed(&self) -> Closed {
        self.inner.connection.closed().await.into()
    }

    /// How it ended, if it has.
    pub fn close_reason(&self) -> Option<Closed> {
        self.inner.connection.close_reason().map(Closed::from)
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.inner.connection.close_reason().is_some()
    }

    /// Ends it, telling the other end why; what is on its way is lost.
    pub fn close(&self, why: &str) {
        self.inner
            .connection
            .close(VarInt::from_u32(0), why.as_bytes());
    }

    /// Whether both are handles to one link.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Round-trip times. The jitter follows the calls of this, so somebody should call it
    /// regularly.
    pub fn rtt(&self) -> Rtt {
        let path = self.inner.connection.stats().path;
        let jitter = self.inner.jitter.lock().sample(Instant::now(), path.rtt);
        Rtt {
            min: path.min_rtt,
            smoothed: path.rtt,
            jitter,
        }
    }

    /// Bytes in UDP datagrams so far.
    pub fn bytes(&self) -> Traffic {
        let stats = self.inner.connection.stats();
        Traffic {
            sent: stats.udp_tx.bytes,
            received: stats.udp_rx.bytes,
        }
    }

    /// Packets that were lost on the way out so far.
    pub fn lost_packets(&self) -> u64 {
        self.inner.connection.stats().path.lost_packets
    }
}

impl Jitter {
    /// As RFC 6298 does: a quarter of the newest difference, three quarters of what was.
    fn sample(&mut self, now: Instant, rtt: Duration) -> Duration {
        match self.seen {
            None => self.seen = Some((now, rtt)),
            Some((at, before)) if now.saturating_duration_since(at) >= JITTER_INTERVAL => {
                self.value = (self.value * 3 + rtt.abs_diff(before)) / 4;
                self.seen = Some((now, rtt));
            }
            Some(_) => {}
        }
        self.value
    }
}

/// Reads the kind's byte; none if the stream comes to nothing.
async fn begin(mut send: quinn::SendStream, mut recv: quinn::RecvStream) -> Option<Accepted> {
    let mut chunk = recv.read_chunk(usize::MAX, true).await.ok()??.bytes;
    if chunk.is_empty() {
        return None;
    }
    let byte = chunk.split_to(1)[0];
    match Kind::from_byte(byte) {
        Some(kind) => Some((
            kind,
            Send::accepted(send, kind),
            Recv::new(recv, kind, chunk),
        )),
        None => {
            tracing::debug!(byte, "a stream of a kind that this release does not know");
            let _ = send.reset(UNKNOWN_KIND);
            let _ = recv.stop(UNKNOWN_KIND);
            None
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.inner.peer)
    }
}

#[cfg(test)]
mod tests;
