//! Free ports on 127.0.0.1, found by binding port 0.
//!
//! A port is free when found and may be taken a moment later; whoever starts a process on it looks
//! for "address already in use" and tries again with others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{Context, Result};

/// `N` distinct free addresses.
///
/// # Errors
/// When the machine has none.
pub fn free<const N: usize>() -> Result<[SocketAddr; N]> {
    // All are held until all are found, so that they differ.
    let mut held = Vec::with_capacity(N);
    let mut found = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    for place in &mut found {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a free port")?;
        *place = listener.local_addr().context("read the bound port")?;
        held.push(listener);
    }
    Ok(found)
}

/// Whether a process's log says that one of its ports was taken.
#[must_use]
pub fn clashed(log: &str) -> bool {
    log.contains("address already in use") || log.contains("Address already in use")
}
