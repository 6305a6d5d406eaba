//! What a seed's world looks like: hubs, regions, round trips, windows, and the bug planted in it, if any.

use std::time::Duration;

use fastrand::Rng;
use meridian_delegate::NodeName;
use meridian_revlog::Codec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Each hub leaves out every batch whose number in what it sends is a multiple of this.
    DropBatch(u32),
    /// A hub that was restarted serves the epoch before.
    OlderEpoch,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) count: usize,
    pub(crate) round_trip: Duration,
}

#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) hubs: usize,
    pub(crate) regions: Vec<Region>,
    pub(crate) codec: Codec,
    pub(crate) window_bytes: usize,
    pub(crate) write_every: Duration,
    /// A restarted hub begins at the home's head: who is behind needs a snapshot.
    pub(crate) is_hub_forgetful: bool,
    pub(crate) loss_per_mille: u32,
    pub(crate) bug: Bug,
    pub(crate) is_traced: bool,
}

impl Shape {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let round_trips = [2, 20, 80, 220];
        let regions: Vec<Region> = (0..rng.usize(1..3))
            .map(|_| Region {
                count: rng.usize(1..5),
                round_trip: Duration::from_millis(round_trips[rng.usize(0..4)]),
            })
            .collect();
        Self {
            hubs: rng.usize(1..3),
            regions,
            codec: if rng.u8(0..8) == 0 {
                Codec::Continuous
            } else {
                Codec::None
            },
            window_bytes: if rng.u8(0..4) == 0 { 20_000 } else { 1 << 20 },
            write_every: Duration::from_millis(rng.u64(10..60)),
            is_hub_forgetful: rng.u8(0..4) == 0,
            loss_per_mille: 0,
            bug: Bug::None,
            is_traced: false,
        }
    }

    /// How long a message takes between two processes.
    pub(crate) fn one_way(&self, a: &NodeName, b: &NodeName) -> Duration {
        let region = |name: &NodeName| {
            let number = name.region.strip_prefix("region")?;
            number.parse::<usize>().ok()
        };
        match (region(a), region(b)) {
            (Some(a), Some(b)) if a == b => Duration::from_micros(300),
            (Some(a), Some(b)) => (self.regions[a].round_trip + self.regions[b].round_trip) / 2,
            (Some(of), None) | (None, Some(of)) => self.regions[of].round_trip / 2,
            (None, None) => Duration::from_micros(300),
        }
    }
}
