//! Lease keepalives: many leases over few streams to the home.
//!
//! Invariants: a renewal is sent once for each that a client asked for, so no lease lives longer
//! than its clients want; an answer is given only when the home has given it. The home answers the
//! requests of one stream in order, so answers are paired by place.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use meridian_home::{CallError, Fate, Home, Method, Replies, StreamCall, keepalive};
use meridian_keyspace::LeaseId;
use meridian_runtime::TaskGroup;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, metadata::MetadataMap};

use crate::metrics;

pub use meridian_home::keepalive::Renewal;

/// Streams to the home. It works through the requests of one stream one after another, so a few
/// streams keep one slow renewal from holding up the rest.
const LANES: usize = 4;

/// Renewals under way on one stream: a 100 B request and answer each.
const UNDER_WAY_MAX: usize = 1024;

/// A renewal that is not answered by then is given up, and its stream with it: etcd's own request
/// time-out with default flags.
const ANSWER_DEADLINE: Duration = Duration::from_secs(7);

/// A stream without renewals is closed after this.
const IDLE_MAX: Duration = Duration::from_secs(60);

type Answer = oneshot::Sender<Result<Renewal, CallError>>;

struct Wanted {
    lease: LeaseId,
    answer: Answer,
}

impl Wanted {
    /// Whether its client waits no longer: a renewal sent now would lengthen the lease's life
    /// beyond what the client asked for.
    fn is_given_up(&self) -> bool {
        self.answer.is_closed()
    }
}

/// The streams that carry keepalives home.
pub struct KeepAlives {
    lanes: Vec<mpsc::Sender<Wanted>>,
}

impl KeepAlives {
    pub(crate) fn new(home: Arc<dyn Home>, tasks: &TaskGroup) -> Self {
        let lanes = (0..LANES).map(|n| {
            let (wanted, queue) = mpsc::channel(UNDER_WAY_MAX);
            let (home, stop) = (Arc::clone(&home), tasks.token());
            tasks.spawn_permanent(format!("keepalive-{n}"), async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = run_lane(home, queue, stop.clone()) => {}
                }
            });
            wanted
        });
        Self {
            lanes: lanes.collect(),
        }
    }

    /// Renews a lease once; the answer's TTL is zero for a lease that the home does not know.
    ///
    /// # Errors
    /// The home's refusal, or a fault on the way; the lease may have been renewed then.
    pub async fn renew(&self, lease: LeaseId) -> Result<Renewal, CallError> {
        metrics::keepalive();
        let (answer, answered) = oneshot::channel();
        let lane = &self.lanes[lease.get().rem_euclid(LANES as i64) as usize];
        let renewed = async {
            lane.send(Wanted { lease, answer })
                .await
                .map_err(|_| lost("server stopped"))?;
            answered.await.map_err(|_| lost("server stopped"))?
        };
        match tokio::time::timeout(ANSWER_DEADLINE, renewed).await {
            Ok(outcome) => outcome,
            Err(_) => Err(lost("request timed out")),
        }
    }
}

/// Opens a stream whenever renewals are wanted, until the engine stops.
async fn run_lane(home: Arc<dyn Home>, mut queue: mpsc::Receiver<Wanted>, stop: CancellationToken) {
    while let Some(first) = queue.recv().await {
        if first.is_given_up() {
            continue;
        }
        let (requests, sent) = mpsc::channel(UNDER_WAY_MAX);
        let call = StreamCall {
            method: Method::LeaseKeepAlive,
            metadata: MetadataMap::new(),
            requests: stream::unfold(sent, |mut sent: mpsc::Receiver<_>| async {
                sent.recv().await.map(|request| (request, sent))
            })
            .boxed(),
        };
        let mut lane = Lane {
            requests,
            waiting: VecDeque::new(),
        };
        // The first request is on its way before the home answers: it may wait for one.
        lane.send(first).await;
        match tokio::time::timeout(ANSWER_DEADLINE, home.stream(call)).await {
            Ok(Ok(replies)) => lane.run(replies, &mut queue).await,
            Ok(Err(error)) => lane.fail(&error),
            Err(_) => lane.fail(&lost("request timed out")),
        }
        if stop.is_cancelled() {
            return;
        }
    }
    stop.cancelled().await;
}

/// One stream and the renewals under way on it.
struct Lane {
    requests: mpsc::Sender<bytes::Bytes>,
    waiting: VecDeque<(Instant, Answer)>,
}

impl Lane {
    async fn send(&mut self, wanted: Wanted) {
        if wanted.is_given_up() {
            return;
        }
        if self
            .requests
            .send(keepalive::request(wanted.lease))
            .await
            .is_ok()
        {
            self.waiting.push_back((Instant::now(), wanted.answer));
        } else {
            let _ = wanted.answer.send(Err(lost("server stopped")));
        }
    }

    /// Carries renewals until the stream ends, stalls or is idle.
    async fn run(&mut self, mut replies: Replies, queue: &mut mpsc::Receiver<Wanted>) {
        loop {
            let due = match self.waiting.front() {
                Some((sent, _)) => *sent + ANSWER_DEADLINE,
                None => Instant::now() + IDLE_MAX,
            };
            tokio::select! {
                wanted = queue.recv(), if self.waiting.len() < UNDER_WAY_MAX => match wanted {
                    Some(wanted) => self.send(wanted).await,
                    None => return self.fail(&lost("server stopped")),
                },
                reply = replies.messages.next() => match reply {
                    Some(Ok(message)) => self.answer(&message),
                    Some(Err(error)) => return self.fail(&error),
                    None => return self.fail(&lost("request timed out, possibly due to connection lost")),
                },
                () = tokio::time::sleep_until(due) => return self.fail(&lost("request timed out")),
            }
        }
    }

    fn answer(&mut self, message: &[u8]) {
        let outcome = keepalive::renewal(message);
        if let Some((_, answer)) = self.waiting.pop_front() {
            // The client may have gone meanwhile.
            let _ = answer.send(outcome);
        }
    }

    fn fail(&mut self, error: &CallError) {
        for (_, answer) in self.waiting.drain(..) {
            let _ = answer.send(Err(error.clone()));
        }
    }
}

fn lost(what: &str) -> CallError {
    CallError::new(
        Code::Unavailable,
        format!("etcdserver: {what}"),
        Fate::Unknown,
    )
}
