//! The UDP forwarder, with a socket of the test at each end.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::wan::{Conditions, Gate, UdpWan};

/// Longer than anything here takes, unless it is lost.
const PATIENCE: Duration = Duration::from_secs(5);

struct Ends {
    wan: UdpWan,
    near: UdpSocket,
    far: UdpSocket,
}

impl Ends {
    fn start() -> Result<Self> {
        let (near, far) = (
            UdpSocket::bind("127.0.0.1:0")?,
            UdpSocket::bind("127.0.0.1:0")?,
        );
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(PATIENCE))?;
        }
        let wan = UdpWan::start(far.local_addr()?, 11)?;
        near.connect(wan.address())?;
        Ok(Self { wan, near, far })
    }

    /// There and back; how long it took.
    fn echo(&self, text: &[u8]) -> Result<Duration> {
        let (started, mut room) = (Instant::now(), [0; 2_000]);
        self.near.send(text)?;
        let (len, from) = self.far.recv_from(&mut room).context("there")?;
        ensure!(&room[..len] == text, "other bytes arrived");
        self.far.send_to(&room[..len], from)?;
        let len = self.near.recv(&mut room).context("back")?;
        ensure!(&room[..len] == text, "other bytes came back");
        Ok(started.elapsed())
    }

    /// Sends `n` datagrams and takes what arrives until the counters say that all have a fate.
    fn burst(&self, n: u64) -> Result<Vec<u64>> {
        self.far.set_read_timeout(Some(Duration::from_millis(20)))?;
        let (deadline, mut seen) = (Instant::now() + PATIENCE, Vec::new());
        for k in 0..n {
            let mut datagram = [0; 500];
            datagram[..8].copy_from_slice(&k.to_le_bytes());
            self.near.send(&datagram)?;
            // The kernel drops what nobody takes: small bursts, taken in between.
            if k % 50 == 49 {
                self.take(&mut seen);
            }
        }
        while {
            let there = self.wan.there();
            let fates = there.lost.packets + there.delivered.packets;
            fates < n || (seen.len() as u64) < there.delivered.packets
        } {
            ensure!(
                Instant::now() < deadline,
                "{:?}, seen {}",
                self.wan.there(),
                seen.len()
            );
            self.take(&mut seen);
        }
        Ok(seen)
    }

    fn take(&self, seen: &mut Vec<u64>) {
        let mut room = [0; 2_000];
        while let Ok(len) = self.far.recv(&mut room) {
            assert_eq!(len, 500);
            let number = room[..8].try_into().expect("eight bytes are eight bytes");
            seen.push(u64::from_le_bytes(number));
        }
    }
}

#[test]
fn bytes_and_packets_are_counted_each_way() -> Result<()> {
    let ends = Ends::start()?;
    for len in [1, 100, 1_400] {
        ends.echo(&vec![7; len])?;
    }
    for traffic in [ends.wan.there(), ends.wan.back()] {
        assert_eq!(traffic.sent.packets, 3);
        assert_eq!(traffic.sent.bytes, 1_501);
        assert_eq!(traffic.sent.wire_bytes, 1_501 + 3 * 28);
        assert_eq!(traffic.lost.packets, 0);
    }
    Ok(())
}

#[test]
fn a_round_trip_takes_what_was_asked_and_hardly_more() -> Result<()> {
    let ends = Ends::start()?;
    ends.wan.set(Conditions::half_of(Duration::from_millis(40)));
    let mut times = Vec::new();
    for _ in 0..25 {
        times.push(ends.echo(b"how far is it?")?);
    }
    times.sort_unstable();
    println!(
        "40 ms asked: {:?} to {:?}, median {:?}",
        times[0], times[24], times[12]
    );
    ensure!(
        times[0] >= Duration::from_millis(40),
        "too early: {times:?}"
    );
    ensure!(
        times[12] <= Duration::from_millis(43),
        "too late: {times:?}"
    );
    Ok(())
}

#[test]
fn some_are_lost_some_come_twice_and_some_late() -> Result<()> {
    let ends = Ends::start()?;
    ends.wan.set(Conditions {
        loss: 0.1,
        duplicate: 0.1,
        reorder: 0.1,
        ..Conditions::default()
    });
    let seen = ends.burst(2_000)?;
    let there = ends.wan.there();
    assert_eq!(there.sent.packets, 2_000);
    assert!((120..280).contains(&there.lost.packets), "{there:?}");
    let twice = there.delivered.packets + there.lost.packets - 2_000;
    assert!((110..260).contains(&twice), "{there:?}");
    assert!(seen.windows(2).any(|two| two[0] > two[1]), "none came late");
    Ok(())
}

#[test]
fn order_is_kept_unless_asked() -> Result<()> {
    let ends = Ends::start()?;
    ends.wan.set(Conditions {
        delay: Duration::from_millis(5),
        jitter: Duration::from_millis(5),
        ..Conditions::default()
    });
    let seen = ends.burst(500)?;
    assert_eq!(seen, (0..500).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_slow_line_takes_its_time() -> Result<()> {
    let ends = Ends::start()?;
    ends.wan.set(Conditions {
        bytes_per_second: Some(500_000),
        ..Conditions::default()
    });
    let started = Instant::now();
    // 200 x 500 bytes: 0.2 s.
    let seen = ends.burst(200)?;
    assert_eq!(seen.len(), 200);
    ensure!(
        started.elapsed() >= Duration::from_millis(195),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[test]
fn nothing_crosses_a_cut_and_all_is_well_after_it() -> Result<()> {
    let ends = Ends::start()?;
    ends.echo(b"before")?;
    for gate in [Gate::Cut, Gate::Blackhole] {
        ends.wan.gate(gate);
        let seen = ends.burst_lost(5)?;
        ensure!(seen == 0, "{seen} crossed");
        ends.wan.gate(Gate::Open);
        ends.echo(b"after")?;
    }
    Ok(())
}

impl Ends {
    /// Sends `n` into a shut gate; how many come through.
    fn burst_lost(&self, n: u64) -> Result<u64> {
        let before = self.wan.there();
        for _ in 0..n {
            self.near.send(b"lost")?;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let there = self.wan.there();
            let (lost, through) = (there.lost - before.lost, there.delivered - before.delivered);
            if lost.packets + through.packets >= n {
                return Ok(through.packets);
            }
            ensure!(Instant::now() < deadline, "{there:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn every_client_has_a_far_socket_of_its_own() -> Result<()> {
    let ends = Ends::start()?;
    let other = UdpSocket::bind("127.0.0.1:0")?;
    let mut room = [0; 100];
    ends.near.send(b"one")?;
    let (_, first) = ends.far.recv_from(&mut room)?;
    other.send_to(b"two", ends.wan.address())?;
    let (_, second) = ends.far.recv_from(&mut room)?;
    assert_ne!(first, second);
    assert_eq!(ends.wan.clients(), 2);
    // And can be severed alone.
    ends.wan.sever(other.local_addr()?);
    other.send_to(b"three", ends.wan.address())?;
    ends.echo(b"four")?;
    ends.wan.rejoin(other.local_addr()?);
    other.send_to(b"five", ends.wan.address())?;
    let (len, from) = ends.far.recv_from(&mut room)?;
    assert_eq!((&room[..len], from), (b"five".as_slice(), second));
    Ok(())
}

/// Not a pass or fail but a figure: `cargo test -p meridian-tests --release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_much_it_carries() -> Result<()> {
    let ends = Ends::start()?;
    ends.wan.set(Conditions::half_of(Duration::from_millis(80)));
    let state = quinn_udp::UdpSocketState::new((&ends.near).into())?;
    let train = vec![0; 1_400 * 40];
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < Duration::from_secs(3) {
        // Paced to 1.2 Gbit/s, as a congestion controller would.
        if sent as f64 > started.elapsed().as_secs_f64() * 150e6 {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        let transmit = quinn_udp::Transmit {
            destination: ends.wan.address(),
            ecn: None,
            contents: &train,
            segment_size: Some(1_400),
            src_ip: None,
        };
        if state.try_send((&ends.near).into(), &transmit).is_ok() {
            sent += train.len();
        }
    }
    let (there, seconds) = (ends.wan.there(), started.elapsed().as_secs_f64());
    println!(
        "sent {:.2} Gbit/s, {} datagrams of {} taken in, {} delivered, {} lost",
        sent as f64 * 8e-9 / seconds,
        there.sent.packets,
        sent / 1_400,
        there.delivered.packets,
        there.lost.packets
    );
    Ok(())
}
