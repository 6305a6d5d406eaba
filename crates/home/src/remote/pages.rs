//! The whole keyspace at one revision, page by page.
//!
//! The first page is a linearizable range, whose header's revision is that of all others; they are
//! pinned to it. Pages are fetched one ahead of their reader by a task that ends with it. If the
//! home compacts past the revision in between, the pages end with etcd's own error and the reader
//! begins again.

mod stride;

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
    probe::{self, broken, with_leader},
    wire::{self, RangePage},
};
use crate::{Call, CallError, Snapshot};
use stride::{Stride, Then, Told};

/// Keys of the first page, from which the size of a record is learnt: 1.5 MiB each, the most that
/// etcd takes, would be 150 MiB.
const FIRST_PAGE_KEYS: i64 = 100;

/// What a page aims at: large against the cost of a call, small against the memory of either end.
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
    let (first, then) = reader.next_page().await?;
    // The first page's range is the whole keyspace, so its count is too.
    let (facts, keys_total) = (first.facts, u64::try_from(first.count).unwrap_or(0));
    let (pages, queue) = mpsc::channel(PAGES_AHEAD);
    tasks.spawn("home-snapshot", reader.send_pages(first, then, pages));
    Ok(Snapshot {
        facts,
        keys_total,
        pages: ReceiverStream::new(queue).boxed(),
    })
}

/// Reads the keyspace from the lowest key on.
struct Reader {
    pool: Arc<Pool>,
    call_timeout: Duration,
    stride: Stride,
    /// What pages are pinned to; none before the first.
    revision: Option<Revision>,
    page_keys: i64,
}

impl Reader {
    fn new(pool: Arc<Pool>, call_timeout: Duration) -> Self {
        let stride = Stride::all();
        Self {
            pool,
            call_timeout,
            stride,
            revision: None,
            page_keys: FIRST_PAGE_KEYS,
        }
    }

    /// Sends `first` and all pages after it, until the last, an error or the reader's end.
    async fn send_pages(
        mut self,
        first: RangePage,
        mut then: Then,
        pages: mpsc::Sender<Result<Vec<Record>, CallError>>,
    ) {
        let mut records = first.records;
        loop {
            if !records.is_empty() && pages.send(Ok(records)).await.is_err() {
                return;
            }
            if then == Then::Nothing {
                return;
            }
            let next = tokio::select! {
                next = self.next_page() => next,
                () = pages.closed() => return,
            };
            (records, then) = match next {
                Ok((page, then)) => (page.records, then),
                Err(error) => {
                    // An error that nobody is left to read is no loss.
                    let _ = pages.send(Err(error)).await;
                    return;
                }
            };
        }
    }

    async fn next_page(&mut self) -> Result<(RangePage, Then), CallError> {
        let message = Bytes::from(self.request().encode_to_vec());
        let mut call = Call {
            metadata: with_leader(),
            ..Call::new(Method::KvRange, message)
        };
        call.deadline = Some(Instant::now() + PAGE_TIMEOUT.max(self.call_timeout));
        let reply = exchange::unary(&self.pool, call, self.call_timeout).await?;
        let page = wire::range_page(&reply.message).map_err(broken)?;
        self.revision.get_or_insert(page.facts.revision);
        let then = self.stride.pass(told(&page, self.page_keys));
        if !page.records.is_empty() {
            self.page_keys = keys_of(reply.message.len(), page.records.len());
        }
        Ok((page, then))
    }

    fn request(&self) -> RangeRequest {
        RangeRequest {
            key: self.stride.key(),
            range_end: self.stride.range_end(),
            limit: self.page_keys,
            revision: self.revision.map_or(0, Revision::get),
            ..Default::default()
        }
    }
}

fn told(page: &RangePage, limit: i64) -> Told<'_> {
    let ends = page.records.first().zip(page.records.last());
    Told {
        ends: ends.map(|(first, last)| (first.key(), last.key())),
        keys: i64::try_from(page.records.len()).unwrap_or(i64::MAX),
        limit,
        count: page.count,
        more: page.more,
    }
}

/// How many keys the next page should have, after one of `keys` keys in `bytes` bytes.
fn keys_of(bytes: usize, keys: usize) -> i64 {
    let record_bytes = bytes / keys.max(1);
    let keys = i64::try_from(PAGE_BYTES / record_bytes.max(1)).unwrap_or(PAGE_KEYS_MAX);
    keys.clamp(1, PAGE_KEYS_MAX)
}
