//! etcd's messages from and to the keyspace's terms.
//!
//! Owns the reading of requests that may be wrong in any field, and the writing of answers.
//! Invariant: a message that etcd refuses is refused in the same place of the order; unknown enum
//! values mean what they mean to etcd. It evaluates nothing.

mod compare;

use bytes::Bytes;
use futures_core::Stream;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb, mvccpb};
use meridian_keyspace::{
    Event, KeyRange, KeySpan, LeaseId, RangeAnswer, RangeQuery, Record, Revision, RevisionFilter,
    SortOrder, SortTarget,
    txn::{DeleteOp, Op, OpAnswer, PutOp, RangeOp, Txn, TxnAnswer, TxnRefused},
};
use pb::{request_op::Request, response_op::Response};
use tonic::metadata::MetadataMap;

use crate::{CallError, Replies};

/// A range request of its own.
pub(super) fn range_query(request: &pb::RangeRequest) -> Result<RangeQuery<'_>, EtcdError> {
    if request.key.is_empty() {
        return Err(EtcdError::EMPTY_KEY);
    }
    let (sort_target, sort_order) = sorting(request).ok_or(EtcdError::INVALID_SORT_OPTION)?;
    let revision = (request.revision > 0).then(|| Revision::new(request.revision));
    Ok(RangeQuery {
        span: KeySpan::from_wire(&request.key, &request.range_end),
        revision,
        limit: limit(request),
        sort_target,
        sort_order,
        filter: filter(request),
        count_only: request.count_only,
    })
}

/// A range within a transaction, or what is wrong with it.
fn range_op(request: &pb::RangeRequest) -> Op {
    let Some((sort_target, sort_order)) = sorting(request) else {
        let empty = request.key.is_empty();
        return Op::Refused(if empty {
            TxnRefused::EmptyKey
        } else {
            TxnRefused::InvalidSort
        });
    };
    Op::Range(RangeOp {
        range: KeyRange::from_wire(&request.key, &request.range_end),
        revision: (request.revision != 0).then(|| Revision::new(request.revision)),
        limit: limit(request),
        sort_target,
        sort_order,
        filter: filter(request),
        count_only: request.count_only,
    })
}

fn limit(request: &pb::RangeRequest) -> usize {
    usize::try_from(request.limit).unwrap_or(0)
}

fn filter(request: &pb::RangeRequest) -> RevisionFilter {
    RevisionFilter {
        min_mod: request.min_mod_revision,
        max_mod: request.max_mod_revision,
        min_create: request.min_create_revision,
        max_create: request.max_create_revision,
    }
}

fn sorting(request: &pb::RangeRequest) -> Option<(SortTarget, SortOrder)> {
    use pb::range_request as wire;
    let order = match wire::SortOrder::try_from(request.sort_order).ok()? {
        wire::SortOrder::None => SortOrder::None,
        wire::SortOrder::Ascend => SortOrder::Ascend,
        wire::SortOrder::Descend => SortOrder::Descend,
    };
    let target = match wire::SortTarget::try_from(request.sort_target).ok()? {
        wire::SortTarget::Key => SortTarget::Key,
        wire::SortTarget::Version => SortTarget::Version,
        wire::SortTarget::Create => SortTarget::Create,
        wire::SortTarget::Mod => SortTarget::Mod,
        wire::SortTarget::Value => SortTarget::Value,
    };
    Some((target, order))
}

pub(super) fn put_op(request: &pb::PutRequest) -> Op {
    Op::Put(PutOp {
        key: request.key.clone(),
        value: request.value.clone(),
        lease: LeaseId::new(request.lease),
        prev_kv: request.prev_kv,
        ignore_value: request.ignore_value,
        ignore_lease: request.ignore_lease,
    })
}

pub(super) fn delete_op(request: &pb::DeleteRangeRequest) -> Op {
    Op::Delete(DeleteOp {
        range: KeyRange::from_wire(&request.key, &request.range_end),
        prev_kv: request.prev_kv,
    })
}

pub(super) fn txn(request: &pb::TxnRequest) -> Txn {
    let ops = |ops: &[pb::RequestOp]| ops.iter().map(op).collect();
    Txn {
        compare: request.compare.iter().map(compare::read).collect(),
        success: ops(&request.success),
        failure: ops(&request.failure),
    }
}

fn op(op: &pb::RequestOp) -> Op {
    match &op.request {
        Some(Request::RequestRange(request)) => range_op(request),
        Some(Request::RequestPut(request)) => put_op(request),
        Some(Request::RequestDeleteRange(request)) => delete_op(request),
        Some(Request::RequestTxn(request)) => Op::Txn(txn(request)),
        None => Op::Refused(TxnRefused::KeyNotFound),
    }
}

/// The response to `request`, which `answer` answers. The operations' own headers carry a
/// revision, those of nested transactions nothing, as etcd's do.
pub(super) fn txn_response(
    request: &pb::TxnRequest,
    answer: TxnAnswer,
    header: Option<pb::ResponseHeader>,
) -> pb::TxnResponse {
    let TxnAnswer { succeeded, answers } = answer;
    let ops = if succeeded {
        &request.success
    } else {
        &request.failure
    };
    let responses = ops
        .iter()
        .zip(answers)
        .map(|(op, answer)| response_op(op, answer))
        .collect();
    pb::TxnResponse {
        header,
        succeeded,
        responses,
    }
}

fn response_op(op: &pb::RequestOp, answer: OpAnswer) -> pb::ResponseOp {
    let response = match answer {
        OpAnswer::Range { records, answer } => {
            let keys_only =
                matches!(&op.request, Some(Request::RequestRange(range)) if range.keys_only);
            let kvs = records
                .iter()
                .map(|record| key_value(record, keys_only))
                .collect();
            let RangeAnswer {
                current,
                count,
                more,
            } = answer;
            Response::ResponseRange(pb::RangeResponse {
                header: bare(current),
                kvs,
                more,
                count,
            })
        }
        OpAnswer::Put { revision, previous } => {
            let prev_kv = previous.map(|record| key_value(&record, false));
            Response::ResponsePut(pb::PutResponse {
                header: bare(revision),
                prev_kv,
            })
        }
        OpAnswer::Delete {
            revision,
            deleted,
            previous,
        } => {
            let prev_kvs = previous
                .iter()
                .map(|record| key_value(record, false))
                .collect();
            let header = bare(revision);
            Response::ResponseDeleteRange(pb::DeleteRangeResponse {
                header,
                deleted,
                prev_kvs,
            })
        }
        OpAnswer::Txn(answer) => {
            let Some(Request::RequestTxn(request)) = &op.request else {
                unreachable!("a transaction answers a transaction")
            };
            let header = Some(pb::ResponseHeader::default());
            Response::ResponseTxn(txn_response(request, answer, header))
        }
    };
    pb::ResponseOp {
        response: Some(response),
    }
}

/// A header with a revision alone.
fn bare(revision: Revision) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader {
        revision: revision.get(),
        ..pb::ResponseHeader::default()
    })
}

pub(super) fn key_value(record: &Record, keys_only: bool) -> mvccpb::KeyValue {
    let fields = record.fields();
    let value = if keys_only { &[] } else { fields.value };
    mvccpb::KeyValue {
        key: Bytes::copy_from_slice(fields.key),
        create_revision: fields.create_revision.get(),
        mod_revision: fields.mod_revision.get(),
        version: fields.version,
        value: Bytes::copy_from_slice(value),
        lease: fields.lease.get(),
    }
}

pub(super) fn event(event: &Event, prev_kv: bool) -> mvccpb::Event {
    let kind = if event.record.is_tombstone() {
        mvccpb::event::EventType::Delete
    } else {
        mvccpb::event::EventType::Put
    };
    let previous = event.previous.as_ref().filter(|_| prev_kv);
    mvccpb::Event {
        r#type: kind.into(),
        kv: Some(key_value(&event.record, false)),
        prev_kv: previous.map(|record| key_value(record, false)),
    }
}

/// Messages as the replies of a streaming call; this home has no metadata of its own.
pub(super) fn replies(
    messages: impl Stream<Item = Result<Bytes, CallError>> + Send + 'static,
) -> Replies {
    Replies {
        metadata: MetadataMap::new(),
        messages: Box::pin(messages),
    }
}
