//! The whole keyspace at one revision, page by page.
//!
//! The first page is a linearizable range, whose header's revision is that of all others; they are
//! pinned to it. Pages are fetched one ahead of their reader by a task that ends with it. If the
//! home compacts past the revision in between, the pages end with etcd's own error and the reader
//! begins again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_etcd_api::{Method, etcdserverpb::RangeRequest};
use meridian_keyspace::{Record, Revision};
use meridian_runtime::TaskGroup;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    bounds::PAGE_TIMEOUT,
    exchange,
    pool::Pool,
    probe::{self, LOWEST_KEY, broken, with_leader},
    wire::{self, RangePage},
};
use crate::{Call, CallError, Snapshot};

/// Keys of the first page, from which the size of a record is learnt: 1.5 MiB each, the most that
/// etcd takes, would be 150 MiB.
const FIRST_PAGE_KEYS: i64 = 100;

/// What a page aims at. Smaller pages cost more: etcd counts all keys that are left for each.
const PAGE_BYTES: usize = 4 << 20;

/// Bounds on a page's keys: what 4 MiB can hold of small records.
const PAGE_KEYS_MAX: i64 = 50_000;

/// Pages fetched and not read: one ahead.
const PAGES_AHEAD: usize = 1;

/// Begins a snapshot.
pub(super) async fn snapshot(
    pool: &Arc<Pool>,
    tasks: &TaskGroup,
    call_timeout: Duration,
) -> Result<Snapshot, CallError> {
    probe::read_index(pool).await?;
    let mut reader = Reader::new(pool.clone(), call_timeout);
    let first = reader.next_page().await?;
    let (facts, keys_total) = (first.facts, u64::try_from(first.count).unwrap_or(0));
    let (pages, queue) = mpsc::channel(PAGES_AHEAD);
    tasks.spawn("home-snapshot", reader.send_pages(first, pages));
    Ok(Snapshot { facts, keys_total, pages: ReceiverStream::new(queue).boxed() })
}

/// Reads the keyspace from the lowest key on.
struct Reader {
    pool: Arc<Pool>,
    call_timeout: Duration,
    /// The first key of the next page.
    next_key: Bytes,
    /// What pages are pinned to; none before the first.
    revision: Option<Revision>,
    page_keys: i64,
}

impl Reader {
    fn new(pool: Arc<Pool>, call_timeout: Duration) -> Self {
        let next_key = Bytes::from_static(LOWEST_KEY);
        Self { pool, call_timeout, next_key, revision: None, page_keys: FIRST_PAGE_KEYS }
    }

    /// Sends `first` and all pages after it, until the last, an error or the reader's end.
    async fn send_pages(
        mut self,
        first: RangePage,
        pages: mpsc::Sender<Result<Vec<Record>, CallError>>,
    ) {
        let mut page = Ok(first);
        loop {
            let more = page.as_ref().is_ok_and(|page| page.more);
            if pages.send(page.map(|page| page.records)).await.is_err() || !more {
                return;
            }
            page = tokio::select! {
                page = self.next_page() => page,
                () = pages.closed() => return,
            };
        }
    }

    async fn next_page(&mut self) -> Result<RangePage, CallError> {
        let message = Bytes::from(self.request().encode_to_vec());
        let mut call = Call { metadata: with_leader(), ..Call::new(Method::KvRange, message) };
        call.deadline = Some(Instant::now() + PAGE_TIMEOUT.max(self.call_timeout));
        let reply = exchange::unary(&self.pool, call, self.call_timeout).await?;
        let page = wire::range_page(&reply.message).map_err(broken)?;
        self.revision.get_or_insert(page.facts.revision);
        self.page_keys = keys_of(reply.message.len(), page.records.len());
        if let Some(last) = page.records.last() {
            self.next_key = [last.key(), &[0]].concat().into();
        }
        Ok(page)
    }

    fn request(&self) -> RangeRequest {
        RangeRequest {
            key: self.next_key.clone(),
            range_end: Bytes::from_static(LOWEST_KEY),
            limit: self.page_keys,
            revision: self.revision.map_or(0, Revision::get),
            ..Default::default()
        }
    }
}

/// How many keys the next page should have, after one of `keys` keys in `bytes` bytes.
fn keys_of(bytes: usize, keys: usize) -> i64 {
    let record_bytes = bytes / keys.max(1);
    let keys = i64::try_from(PAGE_BYTES / record_bytes.max(1)).unwrap_or(PAGE_KEYS_MAX);
    keys.clamp(1, PAGE_KEYS_MAX)
}
