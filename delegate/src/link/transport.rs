//! The numbers of the transport, each with its arithmetic.

use std::{sync::Arc, time::Duration};

use quinn::{
    AckFrequencyConfig, IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt,
    congestion::{BbrConfig, ControllerFactory, CubicConfig, NewRenoConfig},
};

use super::Congestion;

/// What one stream may have on its way by default: 1 Gbit/s × 250 ms = 125 MB/s × 0.25 s =
/// 31.25 MB.
pub const WINDOW_BYTES: u64 = 31_250_000;

/// What a whole link may have on its way, in windows of a stream. Two streams are bulk and may
/// be left unread for a while, the log and a snapshot: each holds at most its own window, and two
/// more are left for all others. Calls never leave bytes unread: they have credit of their own.
const WINDOWS_PER_LINK: u64 = 4;

/// Streams that the other end may have open: calls of a node, watches that it passes on for clients
/// among them. The etcd door allows 10,000 streams a connection, but only a node that forwards
/// everything passes on as many; the transport keeps some 40 bytes for each that might be opened,
/// 0.3 MiB a link.
const STREAMS_MAX: u32 = 8_192;

/// A link that is silent for so long is gone. Hangs are found by heartbeats in less than a second;
/// this is for what has none, and outlasts a routing change of some seconds.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Three signs of life fit into the idle timeout, so that two may be lost.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// What the first packets reckon with until the round trip is measured: the longest we build for
/// (220 ms) and half as much again.
const INITIAL_RTT: Duration = Duration::from_millis(333);

/// The largest packet that is tried: an Ethernet frame of 1,500 bytes less 20 to 40 of IP and 8 of
/// UDP.
const MTU_MAX: u16 = 1_452;

/// Datagrams that wait, each way: heartbeats of some 40 bytes, of which the newest alone matters.
const DATAGRAM_BYTES: usize = 4 << 10;

/// Packets that are acknowledged together while all goes well: at 1,000 revisions a second an
/// acknowledgement for every second packet would be 500 packets back across the WAN each second; so
/// it is 100, and half of a hub's receiving. Losses are still told at once.
const ACK_TOGETHER: u32 = 10;

/// What may be on its way before anything is known of the path: a hundred packets. A node that
/// changes hubs has to get a group of the log, some 350 KB (decision 0006), before it can read on;
/// with the ten packets of RFC 9002 that takes five round trips, with a hundred two, and 220 ms each
/// are most of the 2 s within which a fault is to be over. Operators join regions by paths that carry
/// that; where it is too much, loss halves it at once.
const INITIAL_WINDOW_BYTES: u64 = 100 * MTU_MAX as u64;

/// For both directions of every link.
pub(super) fn config(window_bytes: u64, congestion: Congestion) -> Arc<TransportConfig> {
    let window = VarInt::from_u64(window_bytes).unwrap_or(VarInt::MAX);
    let link_bytes = window_bytes.saturating_mul(WINDOWS_PER_LINK);
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(MTU_MAX);
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).expect("ten seconds are a valid timeout");
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(ACK_TOGETHER));
    let mut config = TransportConfig::default();
    config
        .stream_receive_window(window)
        .receive_window(VarInt::from_u64(link_bytes).unwrap_or(VarInt::MAX))
        // Bulk is bounded by the other end's stream windows, so it never takes all of this: control
        // and calls find room to be written, and then go first by priority.
        .send_window(link_bytes)
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .datagram_send_buffer_size(DATAGRAM_BYTES)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(KEEP_ALIVE_INTERVAL))
        .initial_rtt(INITIAL_RTT)
        .mtu_discovery_config(Some(mtu))
        .ack_frequency_config(Some(acks))
        .congestion_controller_factory(controller(congestion));
    Arc::new(config)
}

fn controller(congestion: Congestion) -> Arc<dyn ControllerFactory + Send + Sync> {
    match congestion {
        Congestion::Cubic => {
            let mut config = CubicConfig::default();
            config.initial_window(INITIAL_WINDOW_BYTES);
            Arc::new(config)
        }
        Congestion::Bbr => {
            let mut config = BbrConfig::default();
            config.initial_window(INITIAL_WINDOW_BYTES);
            Arc::new(config)
        }
        Congestion::NewReno => {
            let mut config = NewRenoConfig::default();
            config.initial_window(INITIAL_WINDOW_BYTES);
            Arc::new(config)
        }
    }
}
