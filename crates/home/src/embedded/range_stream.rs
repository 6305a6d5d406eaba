//! `KV.RangeStream` of etcd 3.7: one range read in many messages.
//!
//! Records come in chunks, all at one revision; the last message carries header, count and more,
//! so that the messages merged are what `Range` answers. Nothing is held between two chunks; a
//! revision compacted meanwhile ends the stream with etcd's error.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb, mvccpb};
use meridian_keyspace::{RangeQuery, Revision, shared::Step};
use tonic::Code;

use super::{
    node::{Node, decode, encode},
    refuse, wire,
};
use crate::{CallError, Fate, Replies};

pub(super) fn open(node: &Arc<Node>, message: Bytes) -> Result<Replies, CallError> {
    let mut request: pb::RangeRequest = decode(message)?;
    let query = wire::range_query(&request).map_err(refuse::with)?;
    if !query.is_natural() {
        let text = "range stream does not support custom sort orders or revision filters; \
                    use Range";
        return Err(CallError::new(Code::Unimplemented, text, Fate::Refused));
    }
    let scan = node
        .published
        .keyspace
        .scan(query)
        .map_err(refuse::read)
        .map_err(refuse::with)?;
    let at = scan.revision();
    drop(scan);
    request.revision = at.get();
    let chunks = Chunks {
        node: Arc::clone(node),
        at,
        from: request.key.clone(),
        sent: 0,
        request,
    };
    Ok(wire::replies(stream::unfold(
        Some(chunks),
        |chunks| async move {
            let mut chunks = chunks?;
            match chunks.next().await {
                Ok((message, true)) => Some((Ok(message), Some(chunks))),
                Ok((message, false)) => Some((Ok(message), None)),
                Err(error) => Some((Err(refuse::with(error)), None)),
            }
        },
    )))
}

/// What is left of the range.
struct Chunks {
    node: Arc<Node>,
    at: Revision,
    from: Bytes,
    sent: usize,
    request: pb::RangeRequest,
}

impl Chunks {
    /// The next message, and whether there are more.
    async fn next(&mut self) -> Result<(Bytes, bool), EtcdError> {
        let limit = wire::range_query(&self.request)?.limit;
        let mut response = pb::RangeResponse::default();
        let mut done = self.request.count_only;
        if !done {
            (response.kvs, done) = self.chunk()?;
        }
        if limit > 0 && self.sent + response.kvs.len() >= limit {
            response.kvs.truncate(limit - self.sent);
            done = true;
        }
        self.sent += response.kvs.len();
        if let Some(last) = response.kvs.last() {
            // The key that follows it in byte order.
            self.from = [&last.key[..], &[0]].concat().into();
        }
        if done {
            response.count = self.count().await?;
            response.more = !self.request.count_only && self.sent < response.count as usize;
            response.header = self.node.header();
        }
        Ok((
            encode(&pb::RangeStreamResponse {
                range_response: Some(response),
            }),
            !done,
        ))
    }

    /// One bounded step of the scan from where the last one ended, and whether it was the last.
    fn chunk(&self) -> Result<(Vec<mvccpb::KeyValue>, bool), EtcdError> {
        let mut query = RangeQuery::of(self.rest());
        query.revision = Some(self.at);
        let mut scan = self
            .node
            .published
            .keyspace
            .scan(query)
            .map_err(refuse::read)?;
        let mut kvs = Vec::new();
        let step =
            scan.step(&mut |record| kvs.push(wire::key_value(record, self.request.keys_only)));
        Ok((kvs, matches!(step, Step::Done(_))))
    }

    fn rest(&self) -> meridian_keyspace::KeySpan<'_> {
        meridian_keyspace::KeySpan::from_wire(&self.from, &self.request.range_end)
    }

    /// Keys of the whole range.
    async fn count(&self) -> Result<i64, EtcdError> {
        let mut query = wire::range_query(&self.request)?;
        query.count_only = true;
        let mut scan = self
            .node
            .published
            .keyspace
            .scan(query)
            .map_err(refuse::read)?;
        loop {
            match scan.step(&mut |_| {}) {
                Step::More => tokio::task::yield_now().await,
                Step::Done(answer) => return Ok(answer.count),
            }
        }
    }
}
