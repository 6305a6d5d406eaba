//! A long way, on loopback: forwards datagrams to one address, each later by the same time, both
//! ways.
//!
//! Every client gets a socket of its own towards the target, so that answers find back. Invariants:
//! the datagrams of one client keep their order, each way; what a path holds is bounded, and what
//! goes beyond is lost, as on a real one. It does not look into datagrams, and loses, repeats or
//! reorders none by itself: faults are the test emulator's part.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use meridian_runtime::TaskGroup;
use tokio::{
    net::UdpSocket,
    sync::mpsc,
    time::{Instant, MissedTickBehavior},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What fits an Ethernet frame of 1500 bytes beside the headers of IPv4 (20) and UDP (8); a wide
/// area carries no more.
const DATAGRAM_BYTES_MAX: usize = 1500 - 20 - 8;

/// 1 Gbit/s × 250 ms are 31 MB, in full datagrams; more waits for nobody.
const LINE_DATAGRAMS_MAX: usize = 31_250_000 / DATAGRAM_BYTES_MAX;

/// The nodes of `meridian dev`, through several restarts of theirs.
const CLIENTS_MAX: usize = 64;

/// A client that was silent for so long is gone: links are kept alive every few seconds.
const CLIENT_IDLE: Duration = Duration::from_secs(60);

/// How often the silent are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// A socket that cannot be read for now is asked again after this.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// An open path.
#[derive(Debug)]
pub(super) struct Path {
    address: SocketAddr,
}

impl Path {
    /// Opens a path to `to` on a free port of the same address family's loopback; it lasts as long
    /// as `tasks`.
    ///
    /// # Errors
    /// The system's, when there is no port.
    pub(super) async fn open(
        to: SocketAddr,
        one_way: Duration,
        tasks: &TaskGroup,
    ) -> io::Result<Self> {
        let front = Arc::new(UdpSocket::bind(loopback(to)).await?);
        let address = front.local_addr()?;
        let far = Far {
            front,
            to,
            one_way,
            tasks: tasks.clone(),
        };
        let token = tasks.token();
        tasks.spawn_permanent("path", async move {
            token.run_until_cancelled(carry(far)).await;
        });
        Ok(Self { address })
    }

    /// Where it begins: what is sent there arrives at its target.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What all clients of a path share.
struct Far {
    front: Arc<UdpSocket>,
    to: SocketAddr,
    one_way: Duration,
    tasks: TaskGroup,
}

/// One client's way.
struct Client {
    line: mpsc::Sender<Late>,
    heard: Instant,
    /// Ends its tasks.
    _end: DropGuard,
}

/// Where a line ends.
enum Outlet {
    Target(Arc<UdpSocket>),
    Client(Arc<UdpSocket>, SocketAddr),
}

/// A datagram on its way.
struct Late {
    due: Instant,
    bytes: Box<[u8]>,
}

async fn carry(far: Far) {
    let mut clients: HashMap<SocketAddr, Client> = HashMap::new();
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
    loop {
        let received = tokio::select! {
            received = far.front.recv_from(&mut buffer) => received,
            _ = sweeps.tick() => {
                clients.retain(|_, client| client.heard.elapsed() < CLIENT_IDLE);
                continue;
            }
        };
        let Ok((bytes, from)) = received else {
            tokio::time::sleep(RETRY_AFTER).await;
            continue;
        };
        if !clients.contains_key(&from)
            && clients.len() < CLIENTS_MAX
            && let Ok(client) = far.welcome(from).await
        {
            clients.insert(from, client);
        }
        if let Some(client) = clients.get_mut(&from) {
            client.heard = Instant::now();
            enqueue(&client.line, &buffer[..bytes], far.one_way);
        }
    }
}

impl Far {
    /// Opens the way of a new client.
    async fn welcome(&self, client: SocketAddr) -> io::Result<Client> {
        let back = Arc::new(UdpSocket::bind(loopback(self.to)).await?);
        back.connect(self.to).await?;
        let (line, there) = mpsc::channel(LINE_DATAGRAMS_MAX);
        let (back_line, here) = mpsc::channel(LINE_DATAGRAMS_MAX);
        let end = self.tasks.token().child_token();

        let target = Outlet::Target(back.clone());
        self.start("there", &end, deliver(there, target));
        let outlet = Outlet::Client(self.front.clone(), client);
        self.start("here", &end, deliver(here, outlet));
        self.start("answers", &end, collect(back, back_line, self.one_way));
        Ok(Client {
            line,
            heard: Instant::now(),
            _end: end.drop_guard(),
        })
    }

    fn start(
        &self,
        name: &'static str,
        end: &CancellationToken,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let end = end.clone();
        self.tasks.spawn(name, async move {
            end.run_until_cancelled(task).await;
        });
    }
}

/// Takes the target's answers, for ever.
async fn collect(back: Arc<UdpSocket>, line: mpsc::Sender<Late>, one_way: Duration) {
    let mut buffer = [0; DATAGRAM_BYTES_MAX + 1];
    loop {
        match back.recv(&mut buffer).await {
            Ok(bytes) => enqueue(&line, &buffer[..bytes], one_way),
            // The target is away for now: that it refused an earlier datagram is told here.
            Err(_) => tokio::time::sleep(RETRY_AFTER).await,
        }
    }
}

/// Puts a datagram on its way, unless it is too large for one or there are too many.
fn enqueue(line: &mpsc::Sender<Late>, bytes: &[u8], one_way: Duration) {
    if bytes.len() > DATAGRAM_BYTES_MAX {
        return;
    }
    let late = Late {
        due: Instant::now() + one_way,
        bytes: bytes.into(),
    };
    // A full line loses it.
    let _ = line.try_send(late);
}

/// Hands each datagram over when it is due; what the system refuses is lost.
async fn deliver(mut line: mpsc::Receiver<Late>, outlet: Outlet) {
    while let Some(Late { due, bytes }) = line.recv().await {
        tokio::time::sleep_until(due).await;
        let _ = match &outlet {
            Outlet::Target(back) => back.send(&bytes).await,
            Outlet::Client(front, client) => front.send_to(&bytes, *client).await,
        };
    }
}

/// Any free port of loopback, of the family of `like`.
fn loopback(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => SocketAddr::from(([127, 0, 0, 1], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)),
    }
}

#[cfg(test)]
mod tests;
