//! Read-index probes, shared by all reads that wait for one.
//!
//! Owns the batches of waiting reads and when the next probe leaves. Invariant: a read is answered
//! by a probe that left after the read began (Raft thesis, section 6.4: the read index must be
//! taken after the read arrives). It knows no replica: the driver tells what came back.

mod pacer;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use meridian_home::{CallError, Facts, Fate, Home};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use self::pacer::Pacer;

/// A probe that has no answer by then counts as failed: above the home's own bound on a read
/// index (3 s), so that its error is seen rather than ours.
const PROBE_DEADLINE: Duration = Duration::from_secs(4);

/// Probes under way at once. The pacer sends at most 15 in a round trip; a home that answers more
/// slowly than usual gets no more than twice that.
const IN_FLIGHT_MAX: usize = 32;

/// Waits up to here are slept by a thread: as long as the timer may be late.
const SLEPT_MAX: Duration = Duration::from_millis(2);

/// An answered probe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// When it left.
    pub(crate) sent: Instant,
    /// What the home answered.
    pub(crate) facts: Facts,
}

type Outcome = Result<Probe, CallError>;

/// Who waits for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Urgency {
    /// Reads.
    Awaited,
    /// Nobody: it tells how fresh an idle replica is, and may share its way with others.
    Idle,
}

/// A probe's batch, what came back, how long it took, and who waited.
type Answered = (Arc<Batch>, Outcome, Duration, Urgency);

/// The reads that wait for the same probe.
struct Batch {
    done: watch::Sender<Option<Outcome>>,
}

impl Batch {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            done: watch::Sender::new(None),
        })
    }
}

/// Where reads join the next probe.
pub(crate) struct Probes {
    next: Mutex<Arc<Batch>>,
    wanted: Notify,
}

impl Probes {
    pub(crate) fn new() -> Self {
        Self {
            next: Mutex::new(Batch::new()),
            wanted: Notify::new(),
        }
    }

    /// Waits for the answer of a probe that leaves after this call began.
    pub(crate) async fn join(&self) -> Outcome {
        let mut done = self.next.lock().done.subscribe();
        self.wanted.notify_one();
        match done.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("waited for an outcome"),
            Err(_) => Err(stopping()),
        }
    }

    /// Sends probes until `stop`: when reads wait, as the pacer allows, and at least every
    /// `interval`. `seen` hears each outcome before the waiting reads do.
    pub(crate) async fn run(
        &self,
        home: &dyn Home,
        interval: Duration,
        stop: &CancellationToken,
        mut seen: impl FnMut(&Outcome, Duration),
    ) {
        let mut pacer = Pacer::new(Instant::now());
        let mut under_way = FuturesUnordered::new();
        loop {
            let due = self.due(&mut pacer, interval);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(answered) = under_way.next(), if !under_way.is_empty() => {
                    let (batch, outcome, took, urgency): Answered = answered;
                    // A probe that shares its way with a region's waits for the others.
                    if outcome.is_ok() && urgency == Urgency::Awaited {
                        pacer.measured(took);
                    }
                    seen(&outcome, took);
                    batch.done.send_replace(Some(outcome));
                }
                () = due, if under_way.len() < IN_FLIGHT_MAX => {
                    under_way.push(self.depart(home, &mut pacer));
                }
            }
        }
    }

    /// Waits until a probe is wanted (or the interval is over) and may leave. Dropping it loses
    /// nothing: the wish is put back.
    async fn due(&self, pacer: &mut Pacer, interval: Duration) {
        // A wish that an earlier probe has fulfilled may still be noted: it is no wish.
        while !self.has_waiting() {
            let idle = match pacer.last_departure() {
                Some(last) => last + interval,
                // The first leaves at once.
                None => return,
            };
            tokio::select! {
                () = self.wanted.notified() => {}
                () = tokio::time::sleep_until(idle.into()) => return,
            }
            // Let reads that arrived in the same moment join.
            tokio::task::yield_now().await;
        }
        pause(pacer.wait(Instant::now())).await;
    }

    fn has_waiting(&self) -> bool {
        self.next.lock().done.receiver_count() > 0
    }

    fn depart<'a>(
        &self,
        home: &'a dyn Home,
        pacer: &mut Pacer,
    ) -> impl Future<Output = Answered> + use<'a> {
        let batch = std::mem::replace(&mut *self.next.lock(), Batch::new());
        // Who joins from now on joins the next one, so this count is final.
        let urgency = match batch.done.receiver_count() {
            0 => Urgency::Idle,
            _ => Urgency::Awaited,
        };
        let sent = Instant::now();
        pacer.departed(sent);
        async move {
            let asked = async {
                match urgency {
                    Urgency::Awaited => home.read_index().await,
                    Urgency::Idle => home.shared_read_index().await,
                }
            };
            let answer = tokio::time::timeout(PROBE_DEADLINE, asked).await;
            let outcome = match answer {
                Ok(Ok(facts)) => Ok(Probe { sent, facts }),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(unanswered()),
            };
            (batch, outcome, sent.elapsed(), urgency)
        }
    }
}

/// Waits for some microseconds or milliseconds. The runtime's timer fires up to two milliseconds
/// late, which is longer than a linger: short waits are slept by a thread of the blocking pool.
async fn pause(wait: Duration) {
    if wait.is_zero() {
        tokio::task::yield_now().await;
    } else if wait <= SLEPT_MAX {
        let slept = tokio::task::spawn_blocking(move || std::thread::sleep(wait));
        // It cannot panic, and is not aborted: only the runtime's end cuts it short.
        let _ = slept.await;
    } else {
        tokio::time::sleep(wait).await;
    }
}

fn unanswered() -> CallError {
    CallError::new(
        tonic::Code::Unavailable,
        "etcdserver: request timed out",
        Fate::Unknown,
    )
}

fn stopping() -> CallError {
    CallError::new(
        tonic::Code::Unavailable,
        "etcdserver: server stopped",
        Fate::NotSent,
    )
}

#[cfg(test)]
mod tests;
