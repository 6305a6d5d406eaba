//! Read indexes that many wait for, asked once.
//!
//! Owns [`Shared`]. Invariants: a request is answered only by a probe that leaves after it arrived,
//! so each keeps the promise of a read index; probes go on though those who wait go away; few are
//! under way at once, and there is no delay while fewer are, but for a pace that was asked for.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use meridian_home::{CallError, Facts, Home};
use meridian_runtime::TaskGroup;
use parking_lot::Mutex;
use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until},
};

/// Probes under way: with two, a request waits at most half as long again as a probe takes.
pub const UNDER_WAY_MAX: usize = 2;

/// The same where they leave at a pace: as many as leave in one round trip of 400 ms.
const PACED_UNDER_WAY_MAX: usize = 4;

/// How often a region asks for a read index that nobody waits for.
pub const REGION_PACE: Duration = Duration::from_millis(100);

/// Where probes go.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Asks for the linearizable revision, now.
    ///
    /// # Errors
    /// As [`Home::read_index`].
    async fn probe(&self) -> Result<Facts, CallError>;
}

/// The probes of a home itself.
struct OfHome(Arc<dyn Home>);

#[async_trait]
impl Probe for OfHome {
    async fn probe(&self) -> Result<Facts, CallError> {
        self.0.read_index().await
    }
}

/// Shares probes among requests; one for a home, kept in an `Arc`.
pub struct Shared {
    probe: Arc<dyn Probe>,
    /// Probes leave no closer together than this.
    pace: Duration,
    under_way_max: usize,
    tasks: TaskGroup,
    state: Mutex<State>,
    me: Weak<Self>,
}

#[derive(Default)]
struct State {
    under_way: usize,
    /// Those that the next probe answers.
    waiting: Vec<Waiter>,
    last_left: Option<Instant>,
}

type Waiter = oneshot::Sender<Result<Facts, CallError>>;

impl Shared {
    /// At a hub: probes leave at once, as long as few are under way.
    pub fn of_home(home: Arc<dyn Home>, tasks: &TaskGroup) -> Arc<Self> {
        let probe = Arc::new(OfHome(home));
        Self::new(probe, Duration::ZERO, UNDER_WAY_MAX, tasks)
    }

    /// At a delegate, for a region: probes leave at most once in `pace`.
    pub fn paced(probe: Arc<dyn Probe>, pace: Duration, tasks: &TaskGroup) -> Arc<Self> {
        Self::new(probe, pace, PACED_UNDER_WAY_MAX, tasks)
    }

    fn new(
        probe: Arc<dyn Probe>,
        pace: Duration,
        under_way_max: usize,
        tasks: &TaskGroup,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            probe,
            pace,
            under_way_max,
            tasks: tasks.clone(),
            state: Mutex::default(),
            me: me.clone(),
        })
    }

    /// The answer of a probe that leaves after this was called. Cancel-safe.
    ///
    /// # Errors
    /// As [`Home::read_index`].
    pub async fn read_index(&self) -> Result<Facts, CallError> {
        let (waiter, answer) = oneshot::channel();
        let starts = {
            let mut state = self.state.lock();
            // If others wait, a probe is about to leave for them, or all are under way and the first
            // that ends is followed by another.
            let starts = state.waiting.is_empty() && state.under_way < self.under_way_max;
            state.waiting.push(waiter);
            state.under_way += usize::from(starts);
            starts
        };
        if starts && let Some(me) = self.me.upgrade() {
            self.tasks
                .spawn("read index", crate::until(self.tasks.token(), me.run()));
        }
        // Only a stopping node drops a waiter.
        answer
            .await
            .unwrap_or_else(|_| Err(CallError::no_connection()))
    }

    /// How many wait for a probe that has not left.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state.lock().waiting.len()
    }

    /// Probes as long as somebody waits.
    async fn run(self: Arc<Self>) {
        loop {
            let leaves = self.state.lock().last_left.map(|left| left + self.pace);
            if let Some(leaves) = leaves.filter(|leaves| *leaves > Instant::now()) {
                sleep_until(leaves).await;
            }
            let waiting = {
                let mut state = self.state.lock();
                if state.waiting.is_empty() {
                    state.under_way -= 1;
                    return;
                }
                state.last_left = Some(Instant::now());
                std::mem::take(&mut state.waiting)
            };
            let answer = self.probe.probe().await;
            for waiter in waiting {
                // Who has gone away needs none.
                let _ = waiter.send(answer.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
