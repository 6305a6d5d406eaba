//! A UDP forwarder in front of a hub, which can be cut.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::{
    net::UdpSocket,
    task::{AbortHandle, JoinHandle},
};

struct State {
    target: Mutex<SocketAddr>,
    cut: AtomicBool,
    /// Bytes to clients, and after how many of them it is cut.
    passed: AtomicU64,
    cut_after: AtomicU64,
}

pub(crate) struct Forwarder {
    pub(crate) address: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

impl Forwarder {
    pub(crate) async fn open(target: &str) -> Self {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let state = Arc::new(State {
            target: Mutex::new(target.parse().unwrap()),
            cut: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            cut_after: AtomicU64::new(u64::MAX),
        });
        Self {
            address: socket.local_addr().unwrap().to_string(),
            task: tokio::spawn(run(socket, Arc::clone(&state))),
            state,
        }
    }

    /// Drops everything from now on.
    pub(crate) fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
    }

    /// Drops everything once so many bytes have come back.
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.state.cut_after.store(bytes, Ordering::SeqCst);
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.state.cut.load(Ordering::SeqCst)
    }

    /// Lets everything pass.
    pub(crate) fn mend(&self) {
        self.state.cut_after.store(u64::MAX, Ordering::SeqCst);
        self.state.cut.store(false, Ordering::SeqCst);
    }

    /// New clients go there.
    pub(crate) fn leads_to(&self, target: &str) {
        *self.state.target.lock() = target.parse().unwrap();
    }

    /// Bytes that have come back.
    pub(crate) fn passed(&self) -> u64 {
        self.state.passed.load(Ordering::SeqCst)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    /// Whether so many bytes more may come back.
    fn admits(&self, bytes: usize) -> bool {
        if self.cut.load(Ordering::SeqCst) {
            return false;
        }
        let passed = self.passed.fetch_add(bytes as u64, Ordering::SeqCst);
        if passed > self.cut_after.load(Ordering::SeqCst) {
            self.cut.store(true, Ordering::SeqCst);
        }
        true
    }
}

struct Back(AbortHandle);

impl Drop for Back {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(socket: Arc<UdpSocket>, state: Arc<State>) {
    let mut ways: HashMap<(SocketAddr, SocketAddr), (Arc<UdpSocket>, Back)> = HashMap::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let Ok((len, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if state.cut.load(Ordering::SeqCst) {
            continue;
        }
        let target = *state.target.lock();
        let way = match ways.entry((client, target)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => {
                let way = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
                way.connect(target).await.unwrap();
                let back = back(
                    Arc::clone(&way),
                    Arc::clone(&socket),
                    client,
                    Arc::clone(&state),
                );
                place.insert((way, Back(tokio::spawn(back).abort_handle())))
            }
        };
        let _ = way.0.send(&buffer[..len]).await;
    }
}

async fn back(way: Arc<UdpSocket>, socket: Arc<UdpSocket>, client: SocketAddr, state: Arc<State>) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match way.recv(&mut buffer).await {
            Ok(len) if state.admits(len) => {
                let _ = socket.send_to(&buffer[..len], client).await;
            }
            Ok(_) | Err(_) => {}
        }
    }
}
