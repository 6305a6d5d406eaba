//! The forwarder of TCP connections.
//!
//! Every connection has two pumps; a pump keeps a bounded number of chunks under way, so a far end that
//! does not read is felt by the near one, as on a real link. A byte stream cannot lose a packet here: what
//! loss does to TCP is modelled, each lost segment holding its connection for one round trip (that of a
//! fast retransmission), and the rate bounded as Mathis et al. found it, 1.22 segments / (RTT sqrt(loss)).

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep_until,
};

use super::{
    BACK, Conditions, Gate, THERE, Traffic, Ways,
    counters::{Counters, TCP_SEGMENT},
    line::Line,
};

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Chunks under way in one direction on loopback as it is: 4 MiB.
const CHUNKS_KEPT: usize = 256;

/// And this many more for each millisecond of delay: 125 kB, what 1 Gbit/s brings in that time.
const CHUNKS_PER_MS: usize = 8;

/// Mathis' constant for acknowledgements of every packet.
const MATHIS: f64 = 1.22;

/// A proxy on its own port, in front of one address.
#[derive(Debug)]
pub struct Wan {
    address: SocketAddr,
    ways: watch::Sender<Ways>,
    counters: Arc<[Counters; 2]>,
    accepting: JoinHandle<()>,
}

impl Wan {
    /// Starts a proxy before `far`, in clear weather.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(far: SocketAddr) -> Result<Self> {
        Self::start_seeded(far, 0).await
    }

    /// The same with its chances from `seed`.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start_seeded(far: SocketAddr, seed: u64) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("bind the proxy")?;
        let address = listener.local_addr().context("read the bound port")?;
        let (ways, seen) = watch::channel([Conditions::default(); 2]);
        let counters = Arc::new([Counters::tcp(), Counters::tcp()]);
        let proxy = Proxy {
            far,
            ways: seen,
            counters: counters.clone(),
        };
        let accepting = tokio::spawn(proxy.accept(listener, seed));
        Ok(Self {
            address,
            ways,
            counters,
            accepting,
        })
    }

    /// Where to connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes both ways, for open connections too.
    pub fn set(&self, both: impl Into<Conditions>) {
        let both = both.into();
        self.ways.send_replace([both, both]);
    }

    /// Changes each way, for open connections too.
    pub fn set_ways(&self, there: Conditions, back: Conditions) {
        self.ways.send_replace([there, back]);
    }

    /// What went there so far.
    #[must_use]
    pub fn there(&self) -> Traffic {
        self.counters[THERE].traffic()
    }

    /// What came back so far.
    #[must_use]
    pub fn back(&self) -> Traffic {
        self.counters[BACK].traffic()
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        let cut = Conditions::default().behind(Gate::Cut);
        self.ways.send_replace([cut, cut]);
        self.accepting.abort();
    }
}

fn is_cut(ways: &Ways) -> bool {
    ways.iter().any(|way| way.gate == Gate::Cut)
}

/// What the connections of one proxy share.
#[derive(Clone, Debug)]
struct Proxy {
    far: SocketAddr,
    ways: watch::Receiver<Ways>,
    counters: Arc<[Counters; 2]>,
}

impl Proxy {
    async fn accept(self, listener: TcpListener, seed: u64) {
        let mut seeds = fastrand::Rng::with_seed(seed);
        loop {
            let Ok((near, _)) = listener.accept().await else {
                return;
            };
            if !is_cut(&self.ways.borrow()) {
                tokio::spawn(self.clone().carry(near, [seeds.u64(..), seeds.u64(..)]));
            }
        }
    }

    async fn carry(self, near: TcpStream, seeds: [u64; 2]) {
        let Ok(far) = TcpStream::connect(self.far).await else {
            return;
        };
        // Small packets must not wait for each other: the delay is ours to make.
        drop((near.set_nodelay(true), far.set_nodelay(true)));
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        let (there, back) = (
            self.pump(THERE, seeds[THERE], near_in, far_out),
            self.pump(BACK, seeds[BACK], far_in, near_out),
        );
        let mut ways = self.ways.clone();
        tokio::select! {
            ((), ()) = async { tokio::join!(there, back) } => {}
            _ = ways.wait_for(is_cut) => {}
        }
    }

    async fn pump(
        &self,
        way: usize,
        seed: u64,
        from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
    ) {
        let delay_ms = usize::try_from(self.ways.borrow()[way].delay.as_millis()).unwrap_or(0);
        let (sender, receiver) = mpsc::channel(CHUNKS_KEPT + delay_ms * CHUNKS_PER_MS);
        tokio::join!(
            self.take_in(way, Line::new(seed), from, sender),
            self.give_out(way, to, receiver)
        );
    }

    async fn take_in(
        &self,
        way: usize,
        mut line: Line,
        mut from: impl AsyncRead + Unpin,
        to: mpsc::Sender<Chunk>,
    ) {
        let mut room = BytesMut::new();
        loop {
            room.reserve(CHUNK_BYTES);
            let Ok(1..) = from.read_buf(&mut room).await else {
                return;
            };
            let bytes = room.split().freeze();
            self.counters[way].sent(segments(bytes.len()), bytes.len());
            let ways = *self.ways.borrow();
            let due = line.arrival(Instant::now(), &ways[way]);
            let held = retransmitted(&mut line, segments(bytes.len()), way, &ways);
            if to.send(Chunk { due, held, bytes }).await.is_err() {
                return;
            }
        }
    }

    async fn give_out(
        &self,
        way: usize,
        mut to: impl AsyncWrite + Unpin,
        mut from: mpsc::Receiver<Chunk>,
    ) {
        let mut ways = self.ways.clone();
        // What leaves the narrow part leaves it one after the other.
        let mut free_at = Instant::now();
        while let Some(chunk) = from.recv().await {
            sleep_until(chunk.due.into()).await;
            // Its sender is gone only when the proxy is, and then the connection is, too.
            let was_shut = ways.borrow()[way].gate == Gate::Blackhole;
            let open = ways.wait_for(|ways| ways[way].gate != Gate::Blackhole);
            let Ok(now) = open.await.map(|now| *now) else {
                return;
            };
            if was_shut {
                free_at = free_at.max(Instant::now());
            }
            if let Some(rate) = rate(way, &now) {
                let share = Duration::from_secs_f64(chunk.bytes.len() as f64 / rate);
                // From when it was due, not from now: the timer counts whole milliseconds, and a chunk
                // of a hundred bytes must not take one.
                free_at = free_at.max(chunk.due) + share;
                sleep_until(free_at.into()).await;
            }
            // What is lost is sent again at once, whatever else was: two losses of one flight cost one
            // round trip, not two.
            sleep_until((chunk.due + chunk.held).into()).await;
            self.counters[way].delivered(segments(chunk.bytes.len()), chunk.bytes.len());
            if to.write_all(&chunk.bytes).await.is_err() {
                return;
            }
        }
        drop(to.shutdown().await);
    }
}

struct Chunk {
    due: Instant,
    /// How long it holds what comes behind it.
    held: Duration,
    bytes: Bytes,
}

fn segments(bytes: usize) -> u64 {
    u64::try_from(bytes)
        .unwrap_or(u64::MAX)
        .div_ceil(TCP_SEGMENT)
}

fn round_trip(ways: &Ways) -> Duration {
    ways.iter().map(|way| way.delay).sum()
}

/// How long these segments hold their connection: a round trip, if one of them is lost.
fn retransmitted(line: &mut Line, segments: u64, way: usize, ways: &Ways) -> Duration {
    let lost = (0..segments).any(|_| line.happens(ways[way].loss));
    if lost {
        round_trip(ways)
    } else {
        Duration::ZERO
    }
}

/// Bytes a second of a connection: what the line lets through, and what loss leaves of it.
fn rate(way: usize, ways: &Ways) -> Option<f64> {
    let line = ways[way].bytes_per_second.map(|rate| rate.max(1) as f64);
    let (loss, seconds) = (ways[way].loss, round_trip(ways).as_secs_f64());
    if loss <= 0.0 || seconds <= 0.0 {
        return line;
    }
    let lossy = MATHIS * TCP_SEGMENT as f64 / (seconds * loss.sqrt());
    Some(line.map_or(lossy, |line| line.min(lossy)))
}
