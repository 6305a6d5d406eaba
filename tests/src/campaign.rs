//! How long a seeded test goes on and from which seed, as the environment tells.
//!
//! `MERIDIAN_SEED` reruns a seed; `MERIDIAN_MINUTES` is the longest a test may go on with one, whatever
//! else says how much it does.

use std::{
    env,
    str::FromStr,
    time::{Duration, Instant},
};

/// The seed unless told: a change is judged by the same chances as the one before it. Other seeds are for
/// `cargo xtask soak`.
pub const SEED: u64 = 20_261_121;

/// The seed of this run, and when it should come to an end.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Where all chances come from.
    pub seed: u64,
    limit: Option<Duration>,
}

impl Campaign {
    /// What the environment asks for; [`SEED`] and no limit unless told.
    #[must_use]
    pub fn told() -> Self {
        let minutes: Option<u64> = number("MERIDIAN_MINUTES");
        Self {
            seed: number("MERIDIAN_SEED").unwrap_or(SEED),
            limit: minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60))),
        }
    }

    /// Whether it was told how long to go on.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.limit.is_some()
    }

    /// `length`, if it is allowed to be that long.
    #[must_use]
    pub fn at_most(&self, length: Duration) -> Duration {
        self.limit.map_or(length, |limit| limit.min(length))
    }

    /// Whether what began at `started` has gone on long enough.
    #[must_use]
    pub fn is_over(&self, started: Instant) -> bool {
        self.limit.is_some_and(|limit| started.elapsed() >= limit)
    }
}

/// The number in a variable, if it is set and is one.
#[must_use]
pub fn number<T: FromStr>(variable: &str) -> Option<T> {
    env::var(variable).ok()?.trim().parse().ok()
}
