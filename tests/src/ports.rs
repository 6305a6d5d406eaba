//! Free ports on 127.0.0.1, for TCP and UDP alike.
//!
//! They lie below the range from which the kernel takes ports for connections, so that a process which is
//! away for a moment finds its port free again. A port is free when found and may be taken a moment later;
//! whoever starts a process on it looks for "address already in use" and tries again with others.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{
        OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

use anyhow::{Result, ensure};

/// Ports looked at: below Linux' 32768, above what services are usually given.
const FIRST: u16 = 20_000;

/// How many there are of them.
const COUNT: u16 = 12_000;

/// The next port to look at, of all tests of this process; another process begins elsewhere.
fn next() -> u16 {
    static BEGIN: OnceLock<u16> = OnceLock::new();
    static TURN: AtomicU16 = AtomicU16::new(0);
    let begin = *BEGIN.get_or_init(|| fastrand::u16(..COUNT));
    let turn = TURN.fetch_add(1, Ordering::Relaxed) % COUNT;
    FIRST + (begin + turn) % COUNT
}

/// `N` distinct free addresses.
///
/// # Errors
/// When the machine has none.
pub fn free<const N: usize>() -> Result<[SocketAddr; N]> {
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    let mut looked = 0;
    for place in &mut found {
        while !is_free(*place) {
            ensure!(looked < COUNT, "no free port from {FIRST} on");
            looked += 1;
            place.set_port(next());
        }
    }
    Ok(found)
}

fn is_free(address: SocketAddr) -> bool {
    address.port() != 0 && TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// Whether a process's log says that one of its ports was taken.
#[must_use]
pub fn clashed(log: &str) -> bool {
    log.contains("address already in use") || log.contains("Address already in use")
}
