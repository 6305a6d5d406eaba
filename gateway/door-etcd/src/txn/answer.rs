//! A read-only transaction's answer as a `TxnResponse`.
//!
//! As etcd's: the outer header is whole, a range's carries the revision alone, a nested
//! transaction's is empty.

use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::{
        RangeRequest, RangeResponse, RequestOp, ResponseHeader, ResponseOp, TxnRequest,
        TxnResponse, request_op::Request, response_op::Response,
    },
    mvccpb::KeyValue,
};
use meridian_home::Facts;
use meridian_keyspace::{
    RangeAnswer, Record,
    txn::{OpAnswer, TxnAnswer},
};

/// The whole answer.
pub(super) fn response(facts: &Facts, answer: &TxnAnswer, request: &TxnRequest) -> TxnResponse {
    let header = ResponseHeader {
        cluster_id: facts.cluster_id,
        member_id: facts.member_id,
        revision: facts.revision.get(),
        raft_term: facts.raft_term,
    };
    body(header, answer, request)
}

fn body(header: ResponseHeader, answer: &TxnAnswer, request: &TxnRequest) -> TxnResponse {
    let asked = if answer.succeeded {
        &request.success
    } else {
        &request.failure
    };
    let responses = answer.answers.iter().zip(asked);
    TxnResponse {
        header: Some(header),
        succeeded: answer.succeeded,
        responses: responses.map(|(answer, asked)| op(answer, asked)).collect(),
    }
}

fn op(answer: &OpAnswer, asked: &RequestOp) -> ResponseOp {
    let response = match (answer, &asked.request) {
        (OpAnswer::Range { records, answer }, Some(Request::RequestRange(asked))) => {
            Response::ResponseRange(range(records, answer, asked))
        }
        (OpAnswer::Txn(answer), Some(Request::RequestTxn(asked))) => {
            Response::ResponseTxn(body(ResponseHeader::default(), answer, asked))
        }
        (answer, asked) => {
            unreachable!("a read-only transaction answered {asked:?} with {answer:?}")
        }
    };
    ResponseOp {
        response: Some(response),
    }
}

fn range(records: &[Record], answer: &RangeAnswer, asked: &RangeRequest) -> RangeResponse {
    RangeResponse {
        header: Some(ResponseHeader {
            revision: answer.current.get(),
            ..Default::default()
        }),
        kvs: records
            .iter()
            .map(|record| key_value(record, asked.keys_only))
            .collect(),
        more: answer.more,
        count: answer.count,
    }
}

fn key_value(record: &Record, keys_only: bool) -> KeyValue {
    let fields = record.fields();
    let value = if keys_only { &[] } else { fields.value };
    KeyValue {
        key: Bytes::copy_from_slice(fields.key),
        create_revision: fields.create_revision.get(),
        mod_revision: fields.mod_revision.get(),
        version: fields.version,
        value: Bytes::copy_from_slice(value),
        lease: fields.lease.get(),
    }
}
