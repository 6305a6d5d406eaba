//! One client stream: its watchers and the bounded queue of what is on its way to the client.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use meridian_keyspace::{Change, Revision};
use parking_lot::Mutex;
use smallvec::smallvec;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Cancellation, Delivery, Pick, Rejection, Wanted, WatchId, WatchSpec, Watches, catchup,
    hub::{Place, Synced},
};

/// Bytes of changes on their way to one stream. Beyond it the stream's watchers reread history:
/// enough for 1,000 revisions of 4 KiB, while 10,000 stalled streams hold 40 GiB of *shared*
/// changes at the very most, that is no more than the history window they are slices of.
const QUEUE_BYTES_MAX: usize = 4 << 20;

/// Changes queued, whatever their size: 64 bytes of queue each.
const QUEUE_CHANGES_MAX: usize = 1 << 16;

/// What one `next` takes from the queue: a message below the 4 MiB that most gRPC clients accept.
const TAKE_BYTES: usize = 512 << 10;

/// Watchers on one stream. etcd's own tests hold 3,000 on one; each costs some 300 bytes.
const WATCHERS_MAX: usize = 1 << 16;

/// Answers to creates and cancels that may wait unread before further requests are not read.
const ANSWERS_MAX: usize = 1024;

/// How long a create waits for the replica to reach what its connection has seen.
const FLOOR_WAIT: Duration = Duration::from_secs(2);

/// The stream is closed: the client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the watch stream is closed")]
pub struct StreamClosed;

/// What is on its way to one client stream.
pub(super) struct StreamQueue {
    state: Mutex<QueueState>,
    wake: Notify,
    space: Notify,
    pub(super) closed: CancellationToken,
}

#[derive(Default)]
struct QueueState {
    items: VecDeque<Queued>,
    bytes: usize,
    answers: usize,
    /// Watchers that reread history, each once everything queued before it has been taken.
    lagging: VecDeque<(Place, u64)>,
    pushed: u64,
    taken: u64,
    progress_asked: bool,
    canceled: Vec<(WatchId, Place, Cancellation)>,
}

enum Queued {
    Change {
        id: WatchId,
        pick: Arc<Pick>,
        change: Arc<Change>,
        bytes: usize,
    },
    Control(Delivery),
}

impl QueueState {
    /// Whether changes of more than one revision are queued: they are in order.
    fn spans_revisions(&self) -> bool {
        let mut changes = self.items.iter().filter_map(Queued::revision);
        let first = changes.next();
        let mut latest = self.items.iter().rev().filter_map(Queued::revision);
        first != latest.next()
    }
}

impl Queued {
    fn revision(&self) -> Option<Revision> {
        match self {
            Self::Change { change, .. } => Some(change.revision),
            Self::Control(_) => None,
        }
    }
}

impl StreamQueue {
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Notify::new(),
            space: Notify::new(),
            closed: CancellationToken::new(),
        }
    }

    /// Queues a change; false when the queue is full.
    pub(super) fn push_change(
        &self,
        id: WatchId,
        pick: &Arc<Pick>,
        change: &Arc<Change>,
        bytes: usize,
    ) -> bool {
        let mut state = self.state.lock();
        let full = state.bytes + bytes > QUEUE_BYTES_MAX || state.items.len() >= QUEUE_CHANGES_MAX;
        // One change larger than the queue still has to pass.
        if full && !state.items.is_empty() {
            return false;
        }
        let wake = state.items.is_empty();
        state.bytes += bytes;
        state.pushed += 1;
        let (pick, change) = (Arc::clone(pick), Arc::clone(change));
        state.items.push_back(Queued::Change {
            id,
            pick,
            change,
            bytes,
        });
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        true
    }

    /// Queues an answer, full or not: their number is bounded by [`StreamQueue::answers_read`].
    pub(super) fn push_control(&self, delivery: Delivery) {
        let mut state = self.state.lock();
        state.answers += 1;
        state.pushed += 1;
        state.items.push_back(Queued::Control(delivery));
        drop(state);
        self.wake.notify_one();
    }

    /// A watcher of this stream has to reread history.
    pub(super) fn lag(&self, place: Place) {
        let mut state = self.state.lock();
        let mark = state.pushed;
        state.lagging.push_back((place, mark));
        drop(state);
        self.wake.notify_one();
    }

    /// Ends a watcher from this side.
    pub(super) fn cancel(&self, id: WatchId, place: Place, reason: Cancellation) {
        self.state.lock().canceled.push((id, place, reason));
        self.wake.notify_one();
    }

    /// Has the stream look for progress again.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn is_drained(&self) -> bool {
        let state = self.state.lock();
        state.items.is_empty() && state.lagging.is_empty() && state.canceled.is_empty()
    }

    /// Waits until something has been taken after this call.
    pub(super) fn space(&self) -> impl Future<Output = ()> {
        self.space.notified()
    }

    /// Waits until the client has read most answers.
    async fn answers_read(&self) {
        loop {
            let space = self.space.notified();
            if self.state.lock().answers < ANSWERS_MAX {
                return;
            }
            space.await;
        }
    }

    /// A watcher whose turn to reread history has come.
    fn next_lagging(&self) -> Option<Place> {
        let mut state = self.state.lock();
        let (place, mark) = *state.lagging.front()?;
        (state.taken >= mark).then(|| {
            state.lagging.pop_front();
            place
        })
    }

    /// Takes the next part of the queue as deliveries, changes of one watcher together.
    fn take(&self, out: &mut Vec<Delivery>) {
        let mut taken = 0;
        let mut state = self.state.lock();
        let mut merge = state.spans_revisions().then(HashMap::new);
        while taken < TAKE_BYTES {
            let Some(item) = state.items.pop_front() else {
                break;
            };
            state.taken += 1;
            match item {
                Queued::Control(delivery) => {
                    state.answers -= 1;
                    if let Some(merge) = &mut merge {
                        merge.clear();
                    }
                    out.push(delivery);
                }
                Queued::Change {
                    id,
                    pick,
                    change,
                    bytes,
                } => {
                    state.bytes -= bytes;
                    taken += bytes;
                    put_change(out, merge.as_mut(), id, pick, change);
                }
            }
        }
        drop(state);
        self.space.notify_waiters();
    }
}

/// Appends a change, to its watcher's delivery if there is one that it may join. One revision
/// concerns a watcher once, so a queue of one revision has nothing to merge: the usual case.
fn put_change(
    out: &mut Vec<Delivery>,
    merge: Option<&mut HashMap<WatchId, usize>>,
    id: WatchId,
    pick: Arc<Pick>,
    change: Arc<Change>,
) {
    if let Some(merge) = merge {
        if let Some(at) = merge.get(&id)
            && let Some(Delivery::Events {
                changes, revision, ..
            }) = out.get_mut(*at)
        {
            *revision = change.revision;
            changes.push(change);
            return;
        }
        merge.insert(id, out.len());
    }
    let revision = change.revision;
    let changes = smallvec![change];
    out.push(Delivery::Events {
        id,
        changes,
        pick,
        revision,
    });
}

/// The watchers of one stream, shared by its two halves.
struct Members {
    slots: BTreeMap<WatchId, Member>,
    next_id: i64,
    /// No watcher is due to be told progress before this; none if none wants it.
    progress_due: Option<Instant>,
}

struct Member {
    place: Place,
    progress: Wanted,
    /// When it was last told something; kept only if it wants progress.
    told: Instant,
}

struct Shared {
    watches: Watches,
    queue: Arc<StreamQueue>,
    members: Mutex<Members>,
}

/// The requesting half of a watch stream.
pub struct WatchControl {
    shared: Arc<Shared>,
}

/// The delivering half of a watch stream; dropping it closes the stream.
pub struct WatchDeliveries {
    shared: Arc<Shared>,
}

/// Opens a stream.
pub(super) fn open(watches: Watches) -> (WatchControl, WatchDeliveries) {
    watches.hub().streams.fetch_add(1, Ordering::Relaxed);
    let shared = Arc::new(Shared {
        watches,
        queue: Arc::new(StreamQueue::new()),
        members: Mutex::new(Members {
            slots: BTreeMap::new(),
            next_id: 0,
            progress_due: None,
        }),
    });
    (
        WatchControl {
            shared: Arc::clone(&shared),
        },
        WatchDeliveries { shared },
    )
}

impl WatchControl {
    /// Creates a watcher; the answer, created or rejected, arrives among the deliveries. Waits
    /// while the client leaves answers unread, and for the replica to reach `floor`, the highest
    /// revision that the client's connection has seen.
    ///
    /// # Errors
    /// [`StreamClosed`].
    pub async fn create(&self, spec: WatchSpec, floor: Revision) -> Result<(), StreamClosed> {
        let shared = &*self.shared;
        shared.answers_read().await?;
        let engine = shared.watches.engine();
        // A floor that is not reached in time is in the future, as a start may be.
        let _ = engine
            .reached
            .load_full()
            .reached(floor.get(), Instant::now() + FLOOR_WAIT)
            .await;
        let mut members = shared.members.lock();
        if shared.queue.closed.is_cancelled() {
            return Err(StreamClosed);
        }
        match members.admit(&spec) {
            Ok(id) => {
                let pick = Pick {
                    range: spec.range,
                    puts: spec.puts,
                    deletes: spec.deletes,
                };
                let place = shared
                    .watches
                    .hub()
                    .add(&shared.queue, id, pick, spec.start, floor);
                let told = Instant::now();
                if spec.progress == Wanted::Yes {
                    let due = told + shared.watches.hub().progress_interval;
                    members.progress_due.get_or_insert(due);
                }
                members.slots.insert(
                    id,
                    Member {
                        place,
                        progress: spec.progress,
                        told,
                    },
                );
            }
            Err(reason) => {
                let revision = shared.watches.hub().dispatched();
                shared
                    .queue
                    .push_control(Delivery::Rejected { reason, revision });
            }
        }
        Ok(())
    }

    /// Cancels a watcher; an unknown id is ignored, as by etcd.
    ///
    /// # Errors
    /// [`StreamClosed`].
    pub async fn cancel(&self, id: WatchId) -> Result<(), StreamClosed> {
        let shared = &*self.shared;
        shared.answers_read().await?;
        shared.end(id, None, Cancellation::Asked);
        Ok(())
    }

    /// Asks for one progress delivery for the whole stream, sent when all its watchers have
    /// everything up to one revision.
    pub fn progress(&self) {
        self.shared.queue.state.lock().progress_asked = true;
        self.shared.queue.wake.notify_one();
    }
}

impl Members {
    /// The id that a new watcher gets.
    fn admit(&mut self, spec: &WatchSpec) -> Result<WatchId, Rejection> {
        if spec.range.span().is_empty() {
            return Err(Rejection::EmptyRange);
        }
        if spec.start < Revision::ZERO {
            return Err(Rejection::NegativeStart);
        }
        if self.slots.len() >= WATCHERS_MAX {
            return Err(Rejection::TooManyWatchers);
        }
        match spec.id {
            Some(id) if self.slots.contains_key(&id) => Err(Rejection::DuplicateId),
            Some(id) => Ok(id),
            None => {
                while self.slots.contains_key(&WatchId(self.next_id)) {
                    self.next_id += 1;
                }
                let id = WatchId(self.next_id);
                self.next_id += 1;
                Ok(id)
            }
        }
    }
}

impl Shared {
    async fn answers_read(&self) -> Result<(), StreamClosed> {
        tokio::select! {
            () = self.queue.closed.cancelled() => Err(StreamClosed),
            () = self.queue.answers_read() => Ok(()),
        }
    }

    /// Ends the watcher with this id, if it is the one at `place`, and queues the answer.
    fn end(&self, id: WatchId, place: Option<Place>, reason: Cancellation) {
        let mut members = self.members.lock();
        let member = members.slots.get(&id).map(|member| member.place);
        if let Some(member) = member
            && place.is_none_or(|place| place == member)
        {
            members.slots.remove(&id);
            let revision = self.watches.hub().remove(member);
            self.queue.push_control(Delivery::Canceled {
                id,
                reason,
                revision,
            });
        }
    }

    /// A progress delivery for the whole stream, if one was asked for and is due.
    fn asked_progress(&self, out: &mut Vec<Delivery>) {
        if !self.queue.state.lock().progress_asked {
            return;
        }
        let members = self.members.lock();
        let places = members.slots.values().map(|member| member.place);
        if let Synced::To(revision) = self.watches.hub().synced(&self.queue, places) {
            self.queue.state.lock().progress_asked = false;
            out.push(Delivery::Progress { id: None, revision });
        }
    }

    /// Progress for the quiet watchers that want it; when the next is due.
    fn timed_progress(&self, out: &mut Vec<Delivery>) -> Option<Instant> {
        let interval = self.watches.hub().progress_interval;
        let mut members = self.members.lock();
        let earliest = members.progress_due?;
        let now = Instant::now();
        if earliest > now {
            return members.progress_due;
        }
        let mut due = None;
        for (id, member) in &mut members.slots {
            if member.progress == Wanted::No {
                continue;
            }
            if member.told + interval <= now {
                let place = std::iter::once(member.place);
                if let Synced::To(revision) = self.watches.hub().synced(&self.queue, place) {
                    out.push(Delivery::Progress {
                        id: Some(*id),
                        revision,
                    });
                }
                member.told = now;
            }
            let next = member.told + interval;
            due = Some(due.map_or(next, |known: Instant| known.min(next)));
        }
        members.progress_due = due;
        due
    }

    /// Notes that these watchers have just been told something.
    fn note_told(&self, out: &[Delivery]) {
        let mut members = self.members.lock();
        if members.progress_due.is_none() {
            return;
        }
        let now = Instant::now();
        for delivery in out {
            if let Delivery::Events { id, .. } = delivery
                && let Some(member) = members.slots.get_mut(id)
                && member.progress == Wanted::Yes
            {
                member.told = now;
            }
        }
    }
}

impl WatchDeliveries {
    /// Bytes of changes on their way to the client.
    pub fn queued_bytes(&self) -> usize {
        self.shared.queue.state.lock().bytes
    }

    /// Waits for the next deliveries and appends them to `out`, at least one. Cancel-safe.
    pub async fn next(&mut self, out: &mut Vec<Delivery>) {
        loop {
            let progress_due = self.step(out);
            if !out.is_empty() {
                return;
            }
            if !self.shared.queue.is_drained() {
                // A scan of history found nothing yet: let others run.
                tokio::task::yield_now().await;
                continue;
            }
            let wake = self.shared.queue.wake.notified();
            match progress_due {
                Some(due) => {
                    let _ = tokio::time::timeout_at(due, wake).await;
                }
                None => wake.await,
            }
        }
    }

    /// One bounded step: ended watchers, what is queued, one piece of history, or progress.
    fn step(&mut self, out: &mut Vec<Delivery>) -> Option<Instant> {
        let shared = &self.shared;
        let canceled = std::mem::take(&mut shared.queue.state.lock().canceled);
        for (id, place, reason) in canceled {
            shared.end(id, Some(place), reason);
        }
        shared.queue.take(out);
        if let Some(place) = shared.queue.next_lagging() {
            catchup::step(&shared.watches, &shared.queue, place, out);
        }
        shared.note_told(out);
        // A busy stream gets its progress too, behind the events that it speaks of.
        shared.asked_progress(out);
        shared.timed_progress(out)
    }
}

impl Drop for WatchDeliveries {
    fn drop(&mut self) {
        self.shared.queue.closed.cancel();
        let hub = self.shared.watches.hub();
        for member in std::mem::take(&mut self.shared.members.lock().slots).into_values() {
            hub.remove(member.place);
        }
        hub.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
