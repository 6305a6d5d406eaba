//! The KV service.
//!
//! Reads are answered from what is published, which is linearizable here: nothing is acknowledged
//! before it is published. Everything that may write goes through the writer.

use bytes::Bytes;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};
use meridian_keyspace::{
    RangeAnswer, Record,
    shared::Step,
    txn::{self, Op, OpAnswer},
};
use prost::Message;

use super::{
    head::alone,
    job::Job,
    node::{Node, TXN_OPS_MAX, check_size, decode, encode},
    refuse, wire,
};
use crate::CallError;

pub(super) async fn range(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::RangeRequest = decode(message)?;
    Ok(encode(
        &range_of(node, &request).await.map_err(refuse::with)?,
    ))
}

/// A range read of what is published, in chunks.
pub(super) async fn range_of(
    node: &Node,
    request: &pb::RangeRequest,
) -> Result<pb::RangeResponse, EtcdError> {
    let query = wire::range_query(request)?;
    let mut scan = node.published.keyspace.scan(query).map_err(refuse::read)?;
    let mut kvs = Vec::new();
    loop {
        match scan.step(&mut |record| kvs.push(wire::key_value(record, request.keys_only))) {
            Step::More => tokio::task::yield_now().await,
            Step::Done(RangeAnswer {
                current,
                count,
                more,
            }) => {
                return Ok(pb::RangeResponse {
                    header: node.header_at(current),
                    kvs,
                    more,
                    count,
                });
            }
        }
    }
}

pub(super) async fn put(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::PutRequest = decode(message)?;
    let (answer, header) = one_op(node, wire::put_op(&request), request.encoded_len()).await?;
    let OpAnswer::Put {
        revision: _,
        previous,
    } = answer
    else {
        unreachable!("a put is answered as a put")
    };
    let prev_kv = previous.map(|record| wire::key_value(&record, false));
    Ok(encode(&pb::PutResponse { header, prev_kv }))
}

pub(super) async fn delete_range(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::DeleteRangeRequest = decode(message)?;
    Ok(encode(&delete_of(node, &request).await?))
}

/// A delete through the writer.
pub(super) async fn delete_of(
    node: &Node,
    request: &pb::DeleteRangeRequest,
) -> Result<pb::DeleteRangeResponse, CallError> {
    let (answer, header) = one_op(node, wire::delete_op(request), request.encoded_len()).await?;
    let OpAnswer::Delete {
        revision: _,
        deleted,
        previous,
    } = answer
    else {
        unreachable!("a delete is answered as a delete")
    };
    let prev_kvs = previous
        .iter()
        .map(|record| wire::key_value(record, false))
        .collect();
    Ok(pb::DeleteRangeResponse {
        header,
        deleted,
        prev_kvs,
    })
}

/// Does one operation outside any transaction.
async fn one_op(
    node: &Node,
    op: Op,
    encoded: usize,
) -> Result<(OpAnswer, Option<pb::ResponseHeader>), CallError> {
    let mut txn = alone(op);
    txn::check(&txn, TXN_OPS_MAX).map_err(|refused| refuse::with(refuse::check(refused)))?;
    check_size(encoded).map_err(refuse::with)?;
    let op = txn.success.pop().expect("`alone` put it there");
    let done = node
        .submit(encoded, |answer| Job::Single(op, answer))
        .await?;
    let mut done = done.map_err(refuse::with)?;
    let answer = done
        .answer
        .answers
        .pop()
        .expect("one operation has one answer");
    Ok((answer, node.header_at(done.revision)))
}

pub(super) async fn txn(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let request: pb::TxnRequest = decode(message)?;
    Ok(encode(&txn_of(node, &request).await?))
}

/// A transaction: from what is published if it only reads, else through the writer.
pub(super) async fn txn_of(
    node: &Node,
    request: &pb::TxnRequest,
) -> Result<pb::TxnResponse, CallError> {
    let txn = wire::txn(request);
    txn::check(&txn, TXN_OPS_MAX).map_err(|refused| refuse::with(refuse::check(refused)))?;
    if txn.is_read_only() {
        let read = node
            .published
            .keyspace
            .read(|keyspace| (keyspace.evaluate(&txn), keyspace.revision()));
        let answer = read.0.map_err(|error| refuse::with(refuse::txn(error)))?;
        return Ok(wire::txn_response(request, answer, node.header_at(read.1)));
    }
    let encoded = request.encoded_len();
    check_size(encoded).map_err(refuse::with)?;
    let done = node.submit(encoded, |answer| Job::Txn(txn, answer)).await?;
    let done = done.map_err(refuse::with)?;
    Ok(wire::txn_response(
        request,
        done.answer,
        node.header_at(done.revision),
    ))
}

pub(super) async fn compact(node: &Node, message: Bytes) -> Result<Bytes, CallError> {
    let pb::CompactionRequest { revision, physical } = decode(message)?;
    let done = node
        .submit(1, |answer| Job::Compact {
            revision,
            physical,
            answer,
        })
        .await?;
    let revision = done.map_err(refuse::with)?;
    Ok(encode(&pb::CompactionResponse {
        header: node.header_at(revision),
    }))
}

/// The live record of a key, as published.
pub(super) fn get(node: &Node, key: &[u8]) -> Option<Record> {
    let mut found = None;
    node.published
        .keyspace
        .get_into(key, |record| found = record.cloned());
    found
}
