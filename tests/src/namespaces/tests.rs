//! Goal: what crosses the cable is counted by the kernel, and is in nobody else's network.

use std::{
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Result, ensure};

use super::Cable;
use crate::wait::{SOON, eventually};

#[tokio::test]
async fn datagrams_over_the_cable_are_counted() -> Result<()> {
    let Some(cable) = Cable::lay()? else {
        return Ok(());
    };
    let (near, far) = (cable.near.address, cable.far.address);
    let arrived = Arc::new(AtomicBool::new(false));
    let before = cable.far.carried()?;
    let tell = arrived.clone();
    let received = cable.far.inside(move || async move {
        let socket = UdpSocket::bind((far, 7_379))?;
        socket.set_read_timeout(Some(SOON))?;
        for _ in 0..5 {
            ensure!(socket.recv(&mut [0; 2_000])? == 100, "another datagram");
        }
        tell.store(true, Ordering::Relaxed);
        Ok(())
    });
    let sent = cable.near.inside(move || async move {
        let socket = UdpSocket::bind((near, 0))?;
        eventually(SOON, "datagrams arrive", || async {
            socket.send_to(&[0; 100], (far, 7_379))?;
            ensure!(arrived.load(Ordering::Relaxed), "none has arrived");
            anyhow::Ok(())
        })
        .await
    });
    let (received, sent) = tokio::join!(received, sent);
    received.and(sent)?;
    let after = cable.far.carried()?;
    // Ethernet 14, IP 20, UDP 8, payload 100.
    let bytes = after.received_bytes - before.received_bytes;
    ensure!(bytes >= 5 * 142, "{before:?} {after:?}");
    Ok(())
}
