//! What went over one way, counted where it is put on it.

use std::{
    ops::{Add, Sub},
    sync::atomic::{AtomicU64, Ordering},
};

/// Headers of a UDP datagram over IPv4: 20 + 8 bytes.
const UDP_HEADERS: u64 = 28;

/// Headers of a TCP segment over IPv4 with the usual timestamps: 20 + 20 + 12 bytes.
pub(super) const TCP_HEADERS: u64 = 52;

/// Payload of a full TCP segment on an Ethernet path: 1,500 - [`TCP_HEADERS`].
pub(super) const TCP_SEGMENT: u64 = 1_448;

/// Packets and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Datagrams; of TCP, the segments that the bytes fill (acknowledgements are not seen and not counted).
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// The same with the headers of IP and of UDP or TCP.
    pub wire_bytes: u64,
}

impl Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
            wire_bytes: self.wire_bytes + other.wire_bytes,
        }
    }
}

impl Sub for Load {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            packets: self.packets - earlier.packets,
            bytes: self.bytes - earlier.bytes,
            wire_bytes: self.wire_bytes - earlier.wire_bytes,
        }
    }
}

/// One way's counts so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// What was put on the way.
    pub sent: Load,
    /// What of it never arrives: lost by chance, over the bandwidth, cut.
    pub lost: Load,
    /// What was handed out at the other end, duplicates included.
    pub delivered: Load,
}

#[derive(Debug, Default)]
struct Count {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    fn add(&self, packets: u64, bytes: usize) {
        self.packets.fetch_add(packets, Ordering::Relaxed);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn load(&self, headers: u64) -> Load {
        let packets = self.packets.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        Load {
            packets,
            bytes,
            wire_bytes: bytes + packets * headers,
        }
    }
}

/// The counters of one way.
#[derive(Debug)]
pub(super) struct Counters {
    sent: Count,
    lost: Count,
    delivered: Count,
    headers: u64,
}

impl Counters {
    pub(super) fn udp() -> Self {
        Self::with_headers(UDP_HEADERS)
    }

    pub(super) fn tcp() -> Self {
        Self::with_headers(TCP_HEADERS)
    }

    fn with_headers(headers: u64) -> Self {
        let [sent, lost, delivered] = [(); 3].map(|()| Count::default());
        Self {
            sent,
            lost,
            delivered,
            headers,
        }
    }

    pub(super) fn sent(&self, packets: u64, bytes: usize) {
        self.sent.add(packets, bytes);
    }

    pub(super) fn lost(&self, packets: u64, bytes: usize) {
        self.lost.add(packets, bytes);
    }

    pub(super) fn delivered(&self, packets: u64, bytes: usize) {
        self.delivered.add(packets, bytes);
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            sent: self.sent.load(self.headers),
            lost: self.lost.load(self.headers),
            delivered: self.delivered.load(self.headers),
        }
    }
}
