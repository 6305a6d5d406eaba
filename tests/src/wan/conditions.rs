//! What one way of a forwarder is like. Plain values: what they do to a packet is in `line`.

use std::time::Duration;

/// Whether anything gets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// It does.
    #[default]
    Open,
    /// Nothing does, and nobody is told: datagrams vanish, TCP connections stay and wait.
    Blackhole,
    /// Nothing does: datagrams vanish, those under way too; TCP connections are reset, new ones at once.
    Cut,
}

/// One way of a forwarder. The default is loopback as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditions {
    /// Each packet takes this long.
    pub delay: Duration,
    /// And up to this much longer, by chance; order is kept.
    pub jitter: Duration,
    /// The share of packets that never arrive, 0 to 1. Over TCP each costs its connection a retransmission.
    pub loss: f64,
    /// The share of datagrams that arrive after later ones, 0 to 1. TCP does not feel it.
    pub reorder: f64,
    /// The share of datagrams that arrive twice, 0 to 1. TCP does not feel it.
    pub duplicate: f64,
    /// At most this many bytes a second: of a UDP forwarder in all, of TCP for each connection.
    pub bytes_per_second: Option<u64>,
    /// Whether anything gets through at all.
    pub gate: Gate,
}

impl Conditions {
    /// Half of `round_trip`, and nothing else.
    #[must_use]
    pub fn half_of(round_trip: Duration) -> Self {
        Self {
            delay: round_trip / 2,
            ..Self::default()
        }
    }

    /// The same, losing this share of packets.
    #[must_use]
    pub fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// The same behind this gate.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Whether all packets that come together also leave together, if they are not lost.
    pub(super) fn keeps_trains(&self) -> bool {
        self.jitter.is_zero()
            && self.reorder <= 0.0
            && self.duplicate <= 0.0
            && self.bytes_per_second.is_none()
    }
}

/// The usual kinds, the same both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weather {
    /// As loopback is.
    Clear,
    /// Every byte takes this long, each way.
    Delay(Duration),
    /// At most this many bytes a second, each way; of TCP for each connection.
    Slow(usize),
    /// Nothing gets through, TCP connections stay open and new ones are accepted.
    Blackhole,
    /// TCP connections are reset, and new ones at once; datagrams vanish.
    Cut,
}

impl From<Weather> for Conditions {
    fn from(weather: Weather) -> Self {
        let clear = Self::default();
        match weather {
            Weather::Clear => clear,
            Weather::Delay(delay) => Self { delay, ..clear },
            Weather::Slow(bytes) => Self {
                bytes_per_second: Some(u64::try_from(bytes).unwrap_or(u64::MAX)),
                ..clear
            },
            Weather::Blackhole => clear.behind(Gate::Blackhole),
            Weather::Cut => clear.behind(Gate::Cut),
        }
    }
}
