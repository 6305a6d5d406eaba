//! A bad network on loopback: a TCP proxy whose weather the test makes.
//!
//! Every connection has two pumps; a pump keeps at most `CHUNKS_KEPT` chunks under way, so a far end
//! that does not read is felt by the near one, as on a real link.

use std::{
    net::{Ipv4Addr, SocketAddr},
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

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Chunks under way in one direction: 4 MiB, more than loopback's bandwidth times 100 ms of a slow link.
const CHUNKS_KEPT: usize = 256;

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weather {
    /// As loopback is.
    Clear,
    /// Every byte takes this long, each way.
    Delay(Duration),
    /// At most this many bytes a second, each way and connection.
    Slow(usize),
    /// Connections are accepted and stay open, nothing gets through.
    Blackhole,
    /// Connections are reset, and new ones at once.
    Cut,
}

/// A proxy on its own port, in front of one address.
#[derive(Debug)]
pub struct Wan {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    accepting: JoinHandle<()>,
}

impl Wan {
    /// Starts a proxy before `far`, in clear weather.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(far: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("bind the proxy")?;
        let address = listener.local_addr().context("read the bound port")?;
        let (weather, seen) = watch::channel(Weather::Clear);
        let accepting = tokio::spawn(accept(listener, far, seen));
        Ok(Self {
            address,
            weather,
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

    /// Changes the weather, for open connections too.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Wan {
    fn drop(&mut self) {
        self.weather.send_replace(Weather::Cut);
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, far: SocketAddr, weather: watch::Receiver<Weather>) {
    loop {
        let Ok((near, _)) = listener.accept().await else {
            return;
        };
        if *weather.borrow() != Weather::Cut {
            tokio::spawn(carry(near, far, weather.clone()));
        }
    }
}

async fn carry(near: TcpStream, far: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect(far).await else {
        return;
    };
    // Small packets must not wait for each other: the delay is ours to make.
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let (there, back) = (
        pump(near_in, far_out, weather.clone()),
        pump(far_in, near_out, weather.clone()),
    );
    tokio::select! {
        ((), ()) = async { tokio::join!(there, back) } => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn pump(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    weather: watch::Receiver<Weather>,
) {
    let (sender, receiver) = mpsc::channel(CHUNKS_KEPT);
    tokio::join!(
        take_in(from, sender, weather.clone()),
        give_out(to, receiver, weather)
    );
}

struct Chunk {
    due: Instant,
    bytes: Bytes,
}

async fn take_in(
    mut from: impl AsyncRead + Unpin,
    to: mpsc::Sender<Chunk>,
    weather: watch::Receiver<Weather>,
) {
    let mut room = BytesMut::new();
    loop {
        room.reserve(CHUNK_BYTES);
        let Ok(1..) = from.read_buf(&mut room).await else {
            return;
        };
        let delay = match *weather.borrow() {
            Weather::Delay(delay) => delay,
            Weather::Clear | Weather::Slow(_) | Weather::Blackhole | Weather::Cut => Duration::ZERO,
        };
        let chunk = Chunk {
            due: Instant::now() + delay,
            bytes: room.split().freeze(),
        };
        if to.send(chunk).await.is_err() {
            return;
        }
    }
}

async fn give_out(
    mut to: impl AsyncWrite + Unpin,
    mut from: mpsc::Receiver<Chunk>,
    mut weather: watch::Receiver<Weather>,
) {
    while let Some(chunk) = from.recv().await {
        sleep_until(chunk.due.into()).await;
        // Its sender is gone only when the proxy is, and then the connection is, too.
        let Ok(now) = weather
            .wait_for(|weather| *weather != Weather::Blackhole)
            .await
            .map(|now| *now)
        else {
            return;
        };
        if let Weather::Slow(bytes_per_second) = now {
            let share = chunk.bytes.len() as f64 / bytes_per_second.max(1) as f64;
            sleep_until((Instant::now() + Duration::from_secs_f64(share)).into()).await;
        }
        if to.write_all(&chunk.bytes).await.is_err() {
            return;
        }
    }
    drop(to.shutdown().await);
}
