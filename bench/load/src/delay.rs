//! A TCP proxy that delays every byte by half a round trip each way, as a long wire would.
//!
//! Order is kept and the wire is a pipe: bytes follow one another without waiting, so bandwidth is not the delay's
//! business. Threads, not a runtime: a runtime's timer rounds up to whole milliseconds, a thread's sleep to ~60 µs.
//! Per direction at most 64 MiB are on the wire; then the sender waits. Dropping the proxy cuts every connection.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks on the wire: 1,024 × 64 KiB = 64 MiB.
const CHUNKS: usize = 1024;

/// A running delay proxy.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    sockets: Vec<TcpStream>,
}

impl DelayProxy {
    /// Listens on a free loopback port and forwards to `target`.
    pub fn start(target: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || accept_loop(&listener, target, round_trip / 2, &shared));
        Ok(Self { address, state })
    }

    /// Where to connect instead of the target.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.stopped = true;
            for socket in &state.sockets {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        // Wakes the accept loop, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept_loop(listener: &TcpListener, target: SocketAddr, half: Duration, state: &Mutex<State>) {
    for client in listener.incoming() {
        let Ok(mut state) = state.lock() else { return };
        if state.stopped {
            return;
        }
        let Ok(client) = client else { continue };
        // A refused target is a closed connection, as through any proxy.
        let Ok(server) = TcpStream::connect(target) else {
            continue;
        };
        if let Ok(sockets) = connect(&client, &server, half) {
            state.sockets.extend(sockets);
        }
    }
}

fn connect(client: &TcpStream, server: &TcpStream, half: Duration) -> io::Result<[TcpStream; 2]> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    carry(client.try_clone()?, server.try_clone()?, half);
    carry(server.try_clone()?, client.try_clone()?, half);
    Ok([client.try_clone()?, server.try_clone()?])
}

/// One direction: a thread reads and stamps, a thread waits and writes.
fn carry(mut from: TcpStream, mut to: TcpStream, half: Duration) {
    let (wire, arrivals) = mpsc::sync_channel::<(Instant, Vec<u8>)>(CHUNKS);
    thread::spawn(move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        while let Ok(length) = from.read(&mut buffer) {
            let chunk = (Instant::now() + half, buffer[..length].to_vec());
            if length == 0 || wire.send(chunk).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, chunk) in arrivals {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&chunk).is_err() {
                return;
            }
        }
        // The end of a direction travels like its bytes.
        let _ = to.shutdown(Shutdown::Write);
    });
}

#[cfg(test)]
mod tests;
