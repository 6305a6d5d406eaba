//! KV: etcd's answers, header by header, and its refusals in its order.

use super::*;
use pb::{
    compare::{CompareResult, CompareTarget, TargetUnion},
    request_op::Request,
    response_op::Response,
};

#[tokio::test]
async fn put_get_and_delete_answer_as_etcd() {
    let f = Fixture::new();
    assert_eq!(f.revision(), 1, "an empty etcd stands at 1");
    assert_eq!(f.put("a", "1").await, 2);
    let again = f
        .put_with(pb::PutRequest {
            prev_kv: true,
            ..put("a", "2")
        })
        .await;
    let previous = again.prev_kv.unwrap();
    assert_eq!(
        (previous.value, previous.version, previous.mod_revision),
        (bytes("1"), 1, 2)
    );

    let range = f.range(one("a")).await;
    let kv = &range.kvs[0];
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (2, 3, 2));
    assert_eq!((range.count, range.more), (1, false));
    let header = range.header.unwrap();
    assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term >= 2);
    assert_eq!(header.revision, 3);

    assert_eq!(
        f.delete("nothing").await.header.unwrap().revision,
        3,
        "no revision for nothing"
    );
    let deleted = f.delete("a").await;
    assert_eq!((deleted.deleted, deleted.header.unwrap().revision), (1, 4));
    assert_eq!(f.get("a").await, None);
    let past = pb::RangeRequest {
        revision: 2,
        ..one("a")
    };
    let past = f.range(past).await;
    assert_eq!(
        (past.kvs[0].value.clone(), past.header.unwrap().revision),
        (bytes("1"), 4)
    );
}

#[tokio::test]
async fn range_options_are_etcds() {
    let f = Fixture::new();
    for key in ["b", "a", "c"] {
        f.put(key, key).await;
    }
    let keys = |response: &pb::RangeResponse| -> String {
        response
            .kvs
            .iter()
            .map(|kv| std::str::from_utf8(&kv.key).unwrap())
            .collect()
    };
    let two = f.range(pb::RangeRequest { limit: 2, ..all() }).await;
    assert_eq!((keys(&two).as_str(), two.more, two.count), ("ab", true, 3));
    let by_creation = pb::RangeRequest {
        sort_target: 2,
        sort_order: 2,
        ..all()
    };
    assert_eq!(keys(&f.range(by_creation).await), "cab");
    let recent = f
        .range(pb::RangeRequest {
            min_mod_revision: 4,
            ..all()
        })
        .await;
    assert_eq!((keys(&recent).as_str(), recent.count), ("c", 3));
    let names = f
        .range(pb::RangeRequest {
            keys_only: true,
            ..all()
        })
        .await;
    assert!(
        names
            .kvs
            .iter()
            .all(|kv| kv.value.is_empty() && kv.version == 1)
    );
    let count = f
        .range(pb::RangeRequest {
            count_only: true,
            ..all()
        })
        .await;
    assert_eq!((count.kvs.len(), count.count), (0, 3));
}

#[tokio::test]
async fn a_transaction_answers_each_operation() {
    let f = Fixture::new();
    f.put("a", "1").await;
    let compare = pb::Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Value.into(),
        key: bytes("a"),
        target_union: Some(TargetUnion::Value(bytes("1"))),
        ..Default::default()
    };
    let nested = pb::TxnRequest {
        success: vec![put_op("n", "1")],
        ..Default::default()
    };
    let txn = pb::TxnRequest {
        compare: vec![compare],
        success: vec![
            put_op("b", "2"),
            request_op(Request::RequestRange(pb::RangeRequest {
                keys_only: true,
                ..all()
            })),
            request_op(Request::RequestTxn(nested)),
        ],
        failure: Vec::new(),
    };
    let done: pb::TxnResponse = f.call(Method::KvTxn, txn).await.unwrap();
    assert!(done.succeeded);
    assert_eq!(done.header.unwrap().revision, 3);
    let answers: Vec<Response> = done
        .responses
        .into_iter()
        .filter_map(|op| op.response)
        .collect();
    let [
        Response::ResponsePut(put),
        Response::ResponseRange(range),
        Response::ResponseTxn(nested),
    ] = &answers[..]
    else {
        panic!("{answers:?}")
    };
    assert_eq!(
        put.header.unwrap(),
        pb::ResponseHeader {
            revision: 3,
            ..Default::default()
        }
    );
    assert_eq!(range.kvs.len(), 2);
    assert!(range.kvs.iter().all(|kv| kv.value.is_empty()));
    assert!(nested.succeeded && nested.header == Some(pb::ResponseHeader::default()));
}

#[tokio::test]
async fn a_transaction_that_reads_uses_no_revision() {
    let f = Fixture::new();
    let txn = pb::TxnRequest {
        success: vec![request_op(Request::RequestRange(one("a")))],
        ..Default::default()
    };
    let done: pb::TxnResponse = f.call(Method::KvTxn, txn).await.unwrap();
    assert_eq!((done.succeeded, done.header.unwrap().revision), (true, 1));
}

#[tokio::test]
async fn compaction_is_etcds() {
    let f = Fixture::new();
    for value in ["1", "2", "3"] {
        f.put("a", value).await;
    }
    let compact = |revision| pb::CompactionRequest {
        revision,
        physical: false,
    };
    f.refused(Method::KvCompact, compact(9), EtcdError::FUTURE_REVISION)
        .await;
    f.refused(Method::KvCompact, compact(-1), EtcdError::COMPACTED)
        .await;
    let done: pb::CompactionResponse = f.call(Method::KvCompact, compact(3)).await.unwrap();
    assert_eq!(done.header.unwrap().revision, 4);
    f.refused(Method::KvCompact, compact(3), EtcdError::COMPACTED)
        .await;
    let at = |revision| pb::RangeRequest {
        revision,
        ..one("a")
    };
    f.refused(Method::KvRange, at(2), EtcdError::COMPACTED)
        .await;
    assert_eq!(f.range(at(3)).await.kvs[0].value, bytes("2"));
}

#[tokio::test]
async fn range_stream_merges_to_what_range_answers() {
    let f = Fixture::new();
    let ops = |chunk: usize| (0..128).map(move |n| put_op(&format!("k{chunk:02}{n:03}"), "v"));
    for chunk in 0..12 {
        let txn = pb::TxnRequest {
            success: ops(chunk).collect(),
            ..Default::default()
        };
        f.call::<pb::TxnResponse>(Method::KvTxn, txn).await.unwrap();
    }
    for request in [
        all(),
        pb::RangeRequest {
            limit: 700,
            keys_only: true,
            ..all()
        },
        pb::RangeRequest {
            count_only: true,
            ..all()
        },
        one("k00000"),
        one("none"),
    ] {
        let (requests, mut replies) = f.stream_of(Method::KvRangeStream, request.clone()).await;
        drop(requests);
        let mut merged = pb::RangeResponse::default();
        use futures_util::StreamExt;
        while let Some(message) = replies.messages.next().await {
            let part = pb::RangeStreamResponse::decode(message.unwrap()).unwrap();
            merged
                .merge(&part.range_response.unwrap().encode_to_vec()[..])
                .unwrap();
        }
        assert_eq!(merged, f.range(request).await);
    }
}
