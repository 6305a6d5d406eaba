//! A watch stream's state: its watchers, how far they have been served, and what is to be sent.
//!
//! Each turn sends what waits, else serves a watcher's past, else waits for a request, a new
//! revision or the progress timer. Requests are taken only when nothing waits to be sent, so what
//! waits is bounded by one piece of history.

mod serve;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};
use meridian_keyspace::{Revision, watch::WatchIndex};
use pb::watch_request::RequestUnion;
use tokio::time::{Interval, MissedTickBehavior, interval_at};

use super::{
    super::{
        node::{Node, decode, encode},
        refuse,
    },
    watcher::Watcher,
};
use crate::CallError;

/// etcd's default for `--watch-progress-notify-interval`.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(600);

/// Watchers on one stream: at some 300 bytes each, 30 MiB.
const WATCHERS_MAX: usize = 100_000;

/// The watch id of what concerns no watcher, or all.
const NO_WATCHER: i64 = -1;

const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";
const EMPTY_RANGE: &str = "mvcc: watcher range is empty";

pub(super) struct WatchStream {
    node: Arc<Node>,
    requests: BoxStream<'static, Bytes>,
    half_closed: bool,
    outbox: VecDeque<pb::WatchResponse>,
    watchers: BTreeMap<i64, Watcher>,
    /// Watchers that have been served up to `served`.
    index: WatchIndex<i64>,
    served: Revision,
    /// Watchers whose past is being served, with the next revision of each.
    behind: VecDeque<(i64, Revision)>,
    next_id: i64,
    /// A progress answer is wanted once `served` is here.
    progress_wanted: Option<Revision>,
    progress_timer: Interval,
}

enum Turn {
    Request(Option<Bytes>),
    Revision,
    Tick,
    Stop,
}

impl WatchStream {
    pub(super) fn new(node: Arc<Node>, requests: BoxStream<'static, Bytes>) -> Self {
        let served = node.published.keyspace.revision();
        let jitter =
            Duration::from_millis(fastrand::u64(..PROGRESS_INTERVAL.as_millis() as u64 / 10));
        let period = PROGRESS_INTERVAL + jitter;
        let mut progress_timer = interval_at(tokio::time::Instant::now() + period, period);
        progress_timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            node,
            requests,
            half_closed: false,
            outbox: VecDeque::new(),
            watchers: BTreeMap::new(),
            index: WatchIndex::new(),
            served,
            behind: VecDeque::new(),
            next_id: 0,
            progress_wanted: None,
            progress_timer,
        }
    }

    /// The next message to send.
    pub(super) async fn next(&mut self) -> Result<Bytes, CallError> {
        loop {
            if let Some(message) = self.outbox.pop_front() {
                return Ok(encode(&message));
            }
            if let Some((id, from)) = self.behind.pop_front() {
                self.serve_past(id, from);
                continue;
            }
            self.answer_progress();
            if self.outbox.is_empty() {
                self.take_turn().await?;
            }
        }
    }

    async fn take_turn(&mut self) -> Result<(), CallError> {
        let stop = self.node.tasks.token();
        let turn = tokio::select! {
            request = self.requests.next(), if !self.half_closed => Turn::Request(request),
            () = self.node.published.wait_for(self.served.next()), if !self.watchers.is_empty() =>
                Turn::Revision,
            _ = self.progress_timer.tick() => Turn::Tick,
            () = stop.cancelled() => Turn::Stop,
        };
        match turn {
            Turn::Request(None) => self.half_closed = true,
            Turn::Request(Some(message)) => self.apply(decode(message)?),
            Turn::Revision => self.serve_new(),
            Turn::Tick => self.notify_progress(),
            Turn::Stop => return Err(refuse::with(EtcdError::STOPPED)),
        }
        Ok(())
    }

    fn apply(&mut self, request: pb::WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => self.create(&request),
            Some(RequestUnion::CancelRequest(request)) => self.cancel(request.watch_id),
            Some(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})) => {
                self.progress_wanted = Some(self.node.published.keyspace.revision());
            }
            None => {}
        }
    }

    fn create(&mut self, request: &pb::WatchCreateRequest) {
        let current = self.node.published.keyspace.revision();
        if request.start_revision < 0 {
            return self.reject(EtcdError::COMPACTED.message());
        }
        let Some(watcher) = Watcher::new(request, current.next()) else {
            return self.reject(EMPTY_RANGE);
        };
        if self.watchers.len() == WATCHERS_MAX {
            return self.reject("meridian: too many watchers on this stream; open another stream");
        }
        let Some(id) = self.free_id(request.watch_id) else {
            return self.reject(DUPLICATE_ID);
        };
        if self.watchers.is_empty() {
            self.served = current;
        }
        self.send(
            pb::WatchResponse {
                watch_id: id,
                created: true,
                ..Default::default()
            },
            current,
        );
        if watcher.from <= self.served {
            self.behind.push_back((id, watcher.from));
        } else {
            self.index.insert(&watcher.range, id);
        }
        self.watchers.insert(id, watcher);
    }

    /// The wanted id if it is free, or the next free one for zero.
    fn free_id(&mut self, wanted: i64) -> Option<i64> {
        if wanted != 0 {
            return (!self.watchers.contains_key(&wanted)).then_some(wanted);
        }
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        self.next_id += 1;
        Some(self.next_id - 1)
    }

    fn reject(&mut self, reason: &str) {
        let current = self.node.published.keyspace.revision();
        let rejected = pb::WatchResponse {
            watch_id: NO_WATCHER,
            created: true,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..Default::default()
        };
        self.send(rejected, current);
    }

    fn cancel(&mut self, id: i64) {
        if self.remove(id) {
            let current = self.node.published.keyspace.revision();
            let canceled = pb::WatchResponse {
                watch_id: id,
                canceled: true,
                ..Default::default()
            };
            self.send(canceled, current);
        }
    }

    fn remove(&mut self, id: i64) -> bool {
        let Some(watcher) = self.watchers.remove(&id) else {
            return false;
        };
        self.index.remove(&watcher.range, id);
        self.behind.retain(|(behind, _)| *behind != id);
        true
    }

    /// Answers a progress request once all watchers are served that far; not at all while one has
    /// its start in the future, or if there is none, as etcd.
    fn answer_progress(&mut self) {
        let Some(wanted) = self.progress_wanted else {
            return;
        };
        if self.watchers.is_empty() || self.watchers.values().any(|w| w.from > wanted.next()) {
            self.progress_wanted = None;
        } else if self.served >= wanted {
            self.progress_wanted = None;
            let progress = pb::WatchResponse {
                watch_id: NO_WATCHER,
                ..Default::default()
            };
            self.send(progress, self.served);
        }
    }

    /// Tells the watchers that asked for it, and saw no event lately, how far they are served.
    fn notify_progress(&mut self) {
        let served = self.served;
        let mut idle = Vec::new();
        for (id, watcher) in &mut self.watchers {
            let was_busy = std::mem::take(&mut watcher.was_busy);
            if watcher.progress_notify && !was_busy && watcher.from <= served.next() {
                idle.push(*id);
            }
        }
        for id in idle {
            self.send(
                pb::WatchResponse {
                    watch_id: id,
                    ..Default::default()
                },
                served,
            );
        }
    }

    fn send(&mut self, mut response: pb::WatchResponse, revision: Revision) {
        response.header = self.node.header_at(revision);
        self.outbox.push_back(response);
    }
}
