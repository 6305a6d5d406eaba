//! A UDP socket that takes in and sends whole trains of datagrams, for a thread that may block on it.

use std::{
    io::{self, IoSliceMut},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Context, Result};
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};

use crate::wan::queue::Parcel;

/// How long a read blocks before its thread looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Kernel buffers: 30 ms at 1 Gbit/s, so that a thread that waits for a core loses nothing.
const KERNEL_BYTES: usize = 4 << 20;

/// A train is at most what the length field of IP can say.
const TRAIN_BYTES: usize = 65_536;

/// Where a train is received.
#[derive(Debug)]
pub(super) struct Room(Vec<u8>);

impl Default for Room {
    fn default() -> Self {
        Self(vec![0; TRAIN_BYTES])
    }
}

/// A train of datagrams from one sender, all of one length but the last.
#[derive(Debug)]
pub(super) struct Arrived<'a> {
    pub(super) from: SocketAddr,
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) mark: Option<EcnCodepoint>,
}

impl Arrived<'_> {
    /// How many datagrams these many bytes of it are.
    pub(super) fn packets_in(&self, bytes: usize) -> u64 {
        u64::try_from(bytes.div_ceil(self.stride.max(1)).max(1)).unwrap_or(u64::MAX)
    }

    pub(super) fn packets(&self) -> u64 {
        self.packets_in(self.bytes.len())
    }

    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.stride.max(1))
    }
}

/// The socket.
#[derive(Debug)]
pub(in crate::wan) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    pub(super) fn bind() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("bind a datagram port")?;
        let state = UdpSocketState::new((&socket).into()).context("prepare a datagram port")?;
        state.set_recv_buffer_size((&socket).into(), KERNEL_BYTES)?;
        state.set_send_buffer_size((&socket).into(), KERNEL_BYTES)?;
        // The state makes it non-blocking, for the async runtimes it is meant for.
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
        Ok(Self { socket, state })
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.socket.local_addr().context("read the bound port")
    }

    /// The next train; `None` when none came for a while.
    pub(super) fn receive<'a>(&self, room: &'a mut Room) -> Option<Arrived<'a>> {
        let mut meta = [RecvMeta::default()];
        let received = {
            let mut bufs = [IoSliceMut::new(&mut room.0)];
            self.state.recv((&self.socket).into(), &mut bufs, &mut meta)
        };
        let [meta] = meta;
        let whole = received.is_ok_and(|trains| trains == 1) && meta.len > 0;
        whole.then(|| Arrived {
            from: meta.addr,
            bytes: &room.0[..meta.len],
            stride: meta.stride,
            mark: meta.ecn,
        })
    }

    /// Sends a train; what the kernel refuses is lost, as on any network.
    pub(in crate::wan) fn send(&self, parcel: &Parcel) {
        let transmit = |contents, segment_size| Transmit {
            destination: parcel.to,
            ecn: parcel.mark,
            contents,
            segment_size,
            src_ip: None,
        };
        let send = |transmit: &Transmit<'_>| -> io::Result<()> {
            self.state.try_send((&self.socket).into(), transmit)
        };
        if parcel.bytes.len() <= parcel.stride {
            drop(send(&transmit(&parcel.bytes, None)));
            return;
        }
        let at_once = self.state.max_gso_segments().max(1) * parcel.stride;
        for part in parcel.bytes.chunks(at_once) {
            drop(send(&transmit(part, Some(parcel.stride))));
        }
    }
}
