//! Where a node's window is filled from, as the node's own readers see it: history from before the
//! window, and snapshots, over whichever link has the log just now.
//!
//! Invariant: a snapshot that is cut off goes on behind the last key that arrived, at the same
//! revision, here or at another relay; if nobody can read that revision any more it fails, and its
//! reader begins anew. Nothing waits without a deadline.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_keyspace::{Record, Revision};
use meridian_revlog::{
    ChunkDecoder, ChunkReader, Decoder, Epoch, FeedError, FeedSnapshot, FrameReader, Position,
};
use meridian_runtime::Backoff;
use tokio::{sync::watch, time::timeout};

use super::stream::{self as log_stream, Answered};
use crate::{
    feed::{Commits, Upstream},
    link::{
        Kind, Link, Recv, Send,
        wire::{Resume, SnapshotHead, SnapshotReply, SnapshotRequest, Why},
    },
    relay::{Lineage, Relay},
    replica::ReplicaSlot,
};

/// How long a reader waits for any link with the log: a hub that restarts is back in less.
const LINK_PATIENCE: Duration = Duration::from_secs(20);

/// How long the next piece of a snapshot may take: a chunk is a few hundred kilobytes coded, which
/// a link of 1 Mbit/s carries in some seconds. A link that is dead ends by itself much sooner.
const PIECE_DEADLINE: Duration = Duration::from_secs(20);

/// Attempts to go on with a snapshot that bring nothing new, before its reader is told.
const FRUITLESS_MAX: u32 = 12;

const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How far a snapshot is, for status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SnapshotProgress {
    /// The revision it is of.
    pub revision: i64,
    /// Keys that have arrived.
    pub keys_done: u64,
    /// Keys in all.
    pub keys_total: u64,
    /// Times it was cut off and went on.
    pub resumed: u32,
}

/// The node's side of everything that is not the tail.
pub(crate) struct NodeUpstream {
    relay: Arc<Relay>,
    replica: Arc<ReplicaSlot>,
    /// The link that the log is taken from, or would be.
    source: watch::Receiver<Option<Link>>,
    /// The link to the hub, which alone can ask the home for what is here no more.
    hub: watch::Receiver<Option<Link>>,
    /// Bytes of log and snapshots that have come in.
    received: Arc<AtomicU64>,
    /// The highest revision that is known to be had nowhere any more.
    lost: AtomicI64,
    progress: watch::Sender<Option<SnapshotProgress>>,
}

impl NodeUpstream {
    pub(super) fn new(
        relay: Arc<Relay>,
        replica: Arc<ReplicaSlot>,
        source: watch::Receiver<Option<Link>>,
        hub: watch::Receiver<Option<Link>>,
        received: Arc<AtomicU64>,
    ) -> Self {
        Self {
            relay,
            replica,
            source,
            hub,
            received,
            lost: AtomicI64::new(0),
            progress: watch::Sender::new(None),
        }
    }

    /// What is due cannot be had: the window is emptied, and its readers need a snapshot.
    pub(super) fn lose(&self, due: Revision) {
        self.lost.fetch_max(due.get(), Ordering::SeqCst);
        self.relay.reset();
    }

    /// The log here is of another home than is served now.
    pub(super) fn lose_everything(&self) {
        self.lost.store(i64::MAX, Ordering::SeqCst);
        self.replica.disown();
        self.relay.reset();
    }

    pub(super) fn progress(&self) -> Option<SnapshotProgress> {
        *self.progress.borrow()
    }

    async fn link(&self) -> Result<Link, FeedError> {
        let mut source = self.source.clone();
        let found = timeout(LINK_PATIENCE, source.wait_for(Option::is_some)).await;
        match found {
            Ok(Ok(link)) => Ok(link.clone().expect("waited for a link")),
            Ok(Err(_)) | Err(_) => Err(unavailable("no link to a hub or a delegate stands")),
        }
    }

    /// The link to the hub, if `link` is to another.
    fn hub_beside(&self, link: &Link) -> Option<Link> {
        let hub = self.hub.borrow().clone();
        hub.filter(|hub| !hub.is_same(link))
    }

    /// Goes on with a snapshot, at the hub if the delegate cannot read its revision any more.
    async fn resume(&self, resume: Resume) -> Result<Opened, FeedError> {
        let link = self.link().await?;
        let revision = resume.revision;
        let opened = match self.open(&link, Some(resume.clone())).await {
            Err(error @ FeedError::Compacted { .. }) => match self.hub_beside(&link) {
                Some(hub) => self.open(&hub, Some(resume)).await,
                None => Err(error),
            },
            opened => opened,
        }?;
        match opened.head.revision == revision {
            true => Ok(opened),
            false => Err(unavailable("the relay goes on with another snapshot")),
        }
    }

    async fn history_at(
        &self,
        link: &Link,
        from: Revision,
        bypass: bool,
    ) -> Result<Commits, FeedError> {
        let opened = log_stream::subscribe(link, &self.relay, from, None, bypass).await;
        let (answered, stream) = opened.map_err(unavailable)?;
        match answered {
            Answered::Accepted => {}
            Answered::Compacted(compacted) => return Err(FeedError::Compacted { compacted }),
            Answered::Refused(why) => {
                let text = format!("{} does not serve history: {why:?}", link.peer());
                return Err(unavailable(text));
            }
        }
        let (recv, send) = stream.into_recv();
        let private = Private {
            recv,
            _send: send,
            frames: FrameReader::new(),
            decoder: Decoder::new(),
        };
        Ok(stream::try_unfold(private, |mut private| async {
            Ok(private.next().await?.map(|commits| (commits, private)))
        })
        .boxed())
    }

    /// Opens a snapshot, or goes on with one.
    async fn open(&self, link: &Link, resume: Option<Resume>) -> Result<Opened, FeedError> {
        let request = SnapshotRequest {
            lineage: match resume {
                // Whoever is asked first says which home it is.
                None => 0,
                Some(_) => self.relay.lineage().0,
            },
            resume,
            term: 0,
        };
        let opening = async {
            let (mut send, mut recv) = link.open(Kind::Snapshot).await?;
            send.message(&request).await?;
            let reply: SnapshotReply = recv.message_within(PIECE_DEADLINE).await?;
            Ok((reply.into_result(), send, recv))
        };
        let opened: Result<_, crate::link::StreamError> = opening.await;
        let (outcome, send, recv) = opened.map_err(unavailable)?;
        match outcome {
            Ok(head) => Ok(Opened {
                head,
                pages: Pages::new(send, recv, Arc::clone(&self.received)),
            }),
            Err(refused) => match refused.why() {
                Why::Compacted => Err(FeedError::Compacted {
                    compacted: Revision::ZERO,
                }),
                why => Err(unavailable(format!(
                    "{} does not serve a snapshot just now: {why:?}",
                    link.peer()
                ))),
            },
        }
    }

    /// The window is made to hold what comes after the snapshot.
    fn begin_after(&self, head: &SnapshotHead) {
        let lineage = Lineage(head.lineage);
        let position = Position {
            epoch: Epoch::new(head.epoch),
            revision: Revision::new(head.revision),
        };
        let lost = self.lost.swap(0, Ordering::SeqCst);
        let of_another_home = !self.relay.lineage().agrees(lineage) || lost == i64::MAX;
        if of_another_home {
            self.relay.position(lineage, position);
        } else {
            self.relay.position_if_empty(lineage, position);
        }
    }
}

#[async_trait]
impl Upstream for Arc<NodeUpstream> {
    async fn history(&self, from: Revision) -> Result<Commits, FeedError> {
        let link = self.link().await?;
        match self.history_at(&link, from, false).await {
            // A delegate has no more than its window and its replica.
            Err(error) => match self.hub_beside(&link) {
                Some(hub) => self.history_at(&hub, from, true).await,
                None => Err(error),
            },
            commits => commits,
        }
    }

    async fn snapshot(&self) -> Result<FeedSnapshot, FeedError> {
        let link = self.link().await?;
        let Opened { head, pages } = self.open(&link, None).await?;
        self.begin_after(&head);
        let revision = Revision::new(head.revision);
        let joining = Joining {
            upstream: Arc::clone(self),
            pages,
            revision,
            last_key: None,
            fruitless: 0,
            backoff: Backoff::new(RETRY_FIRST, RETRY_MAX),
            progress: SnapshotProgress {
                revision: head.revision,
                keys_done: 0,
                keys_total: head.keys_total,
                resumed: 0,
            },
        };
        let pages = stream::try_unfold(joining, |mut joining| async {
            Ok(joining.next().await?.map(|records| (records, joining)))
        });
        Ok(FeedSnapshot {
            revision,
            keys_total: head.keys_total,
            pages: pages.boxed(),
        })
    }

    fn begin_at(&self, from: Revision) -> Result<(), FeedError> {
        let lost = self.lost.load(Ordering::SeqCst);
        if from.get() <= lost {
            return Err(FeedError::Compacted {
                compacted: Revision::ZERO,
            });
        }
        let position = Position {
            epoch: Epoch::ZERO,
            revision: from.previous(),
        };
        self.relay.position_if_empty(self.relay.lineage(), position);
        if from.get() <= self.lost.load(Ordering::SeqCst) {
            // Lost in this very moment: the place is of the log that was.
            self.relay.reset();
            return Err(FeedError::Compacted {
                compacted: Revision::ZERO,
            });
        }
        Ok(())
    }
}

/// A log stream decoded for one reader alone.
struct Private {
    recv: Recv,
    _send: Send,
    frames: FrameReader,
    decoder: Decoder,
}

impl Private {
    async fn next(&mut self) -> Result<Option<Vec<meridian_keyspace::Commit>>, FeedError> {
        loop {
            if let Some(batch) = self.frames.next().map_err(unavailable)? {
                return self.decoder.decode(&batch).map(Some).map_err(unavailable);
            }
            match self.recv.chunk().await.map_err(unavailable)? {
                Some(chunk) => self.frames.push(chunk),
                None => return Ok(None),
            }
        }
    }
}

struct Opened {
    head: SnapshotHead,
    pages: Pages,
}

/// The chunks of one snapshot stream.
struct Pages {
    recv: Recv,
    _send: Send,
    frames: ChunkReader,
    decoder: ChunkDecoder,
    ready: VecDeque<Vec<Record>>,
    received: Arc<AtomicU64>,
}

impl Pages {
    fn new(send: Send, recv: Recv, received: Arc<AtomicU64>) -> Self {
        Self {
            recv,
            _send: send,
            frames: ChunkReader::new(),
            decoder: ChunkDecoder::new(),
            ready: VecDeque::new(),
            received,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Record>>, String> {
        loop {
            while let Some(frame) = self.frames.next().map_err(|e| e.to_string())? {
                let records = self.decoder.decode(&frame).map_err(|e| e.to_string())?;
                self.ready.push_back(records);
            }
            if let Some(records) = self.ready.pop_front() {
                return Ok(Some(records));
            }
            match timeout(PIECE_DEADLINE, self.recv.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    self.received
                        .fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    self.frames.push(chunk);
                }
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(error.to_string()),
                Err(_) => return Err("nothing comes".to_owned()),
            }
        }
    }
}

/// A snapshot on its way here.
struct Joining {
    upstream: Arc<NodeUpstream>,
    pages: Pages,
    revision: Revision,
    last_key: Option<Bytes>,
    fruitless: u32,
    backoff: Backoff,
    progress: SnapshotProgress,
}

impl Joining {
    async fn next(&mut self) -> Result<Option<Vec<Record>>, FeedError> {
        loop {
            let why = match self.pages.next().await {
                Ok(Some(records)) => {
                    self.arrived(&records);
                    return Ok(Some(records));
                }
                Ok(None) if self.progress.keys_done >= self.progress.keys_total => {
                    self.upstream.progress.send_replace(None);
                    return Ok(None);
                }
                Ok(None) => "the relay ended it early".to_owned(),
                Err(why) => why,
            };
            self.go_on(&why).await?;
        }
    }

    fn arrived(&mut self, records: &[Record]) {
        self.fruitless = 0;
        self.backoff.reset();
        self.progress.keys_done += records.len() as u64;
        if let Some(last) = records.last() {
            self.last_key = Some(Bytes::copy_from_slice(last.key()));
        }
        self.upstream.progress.send_replace(Some(self.progress));
    }

    /// Asks for the rest, wherever the log is taken from now.
    async fn go_on(&mut self, why: &str) -> Result<(), FeedError> {
        tracing::info!(%why, revision = %self.revision, keys_done = self.progress.keys_done,
            keys_total = self.progress.keys_total, "the snapshot was cut off; going on");
        loop {
            self.fruitless += 1;
            if self.fruitless > FRUITLESS_MAX {
                return Err(unavailable(format!("the snapshot was cut off: {why}")));
            }
            self.backoff.pause().await;
            let resume = Resume {
                revision: self.revision.get(),
                after_key: self.last_key.clone().unwrap_or_default(),
                keys_done: self.progress.keys_done,
            };
            match self.upstream.resume(resume).await {
                Ok(opened) => {
                    self.pages = opened.pages;
                    self.progress.resumed += 1;
                    return Ok(());
                }
                Err(FeedError::Compacted { .. }) => {
                    let text = "the snapshot's revision cannot be read any more";
                    return Err(unavailable(text));
                }
                Err(error) => tracing::debug!(%error, "cannot go on with the snapshot yet"),
            }
        }
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.upstream.progress.send_replace(None);
    }
}

fn unavailable(error: impl ToString) -> FeedError {
    FeedError::Unavailable(error.to_string())
}
