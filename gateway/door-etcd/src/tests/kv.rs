//! Reads, writes and transactions.

use meridian_etcd_api::{
    EtcdError,
    etcdserverpb::{
        CompactionRequest, Compare, DeleteRangeRequest, MemberListRequest, PutRequest,
        RangeRequest, RequestOp, TxnRequest,
        cluster_client::ClusterClient,
        compare::{CompareTarget, TargetUnion},
        request_op::Request,
        response_op::Response,
    },
};
use tonic::{Code, Status, metadata::MetadataValue};

use super::world::{ADVERTISED, NODE, World, get, put, soon};

fn all() -> RangeRequest {
    RangeRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        ..Default::default()
    }
}

fn serializable(request: RangeRequest) -> RangeRequest {
    RangeRequest {
        serializable: true,
        ..request
    }
}

fn refused(outcome: Result<impl Sized, Status>, error: EtcdError) {
    let status = outcome.err().expect("it is refused");
    assert_eq!(
        (status.code(), status.message()),
        (error.code(), error.message())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_read_back_by_every_level() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    let written = put(&mut kv, "foo", "bar").await.header.unwrap();

    let linearizable = kv.range(get("foo")).await.unwrap();
    assert_eq!(
        linearizable.metadata().get("meridian-served-by").unwrap(),
        "local"
    );
    assert!(
        linearizable
            .metadata()
            .contains_key("meridian-staleness-ms")
    );
    let answer = linearizable.into_inner();
    assert_eq!((answer.count, answer.more, answer.kvs.len()), (1, false, 1));
    assert_eq!(&answer.kvs[0].value[..], b"bar");
    assert_eq!(answer.header.unwrap().cluster_id, written.cluster_id);

    // On the same connection even a serializable read sees it.
    let answer = kv
        .range(serializable(get("foo")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.kvs[0].mod_revision, written.revision);

    let mut session = tonic::Request::new(get("foo"));
    session
        .metadata_mut()
        .insert("meridian-min-revision", written.revision.into());
    assert_eq!(
        world
            .kv()
            .await
            .range(session)
            .await
            .unwrap()
            .into_inner()
            .count,
        1
    );
    let mut bounded = tonic::Request::new(get("foo"));
    bounded
        .metadata_mut()
        .insert("meridian-max-staleness", "5s".parse().unwrap());
    assert_eq!(kv.range(bounded).await.unwrap().into_inner().count, 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_have_every_option_of_etcds() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    for n in 0..5 {
        put(&mut kv, &format!("k{n}"), &format!("v{}", 9 - n)).await;
    }
    let limited = RangeRequest { limit: 2, ..all() };
    let answer = kv.range(limited).await.unwrap().into_inner();
    assert_eq!((answer.count, answer.more, answer.kvs.len()), (5, true, 2));
    let counted = RangeRequest {
        count_only: true,
        ..all()
    };
    let answer = kv.range(counted).await.unwrap().into_inner();
    assert_eq!((answer.count, answer.more, answer.kvs.len()), (5, false, 0));
    let keys = RangeRequest {
        keys_only: true,
        limit: -1,
        ..all()
    };
    let answer = kv.range(keys).await.unwrap().into_inner();
    assert!(
        answer
            .kvs
            .iter()
            .all(|kv| kv.value.is_empty() && kv.mod_revision > 0)
    );
    let sorted = RangeRequest {
        sort_order: 1,
        sort_target: 4,
        limit: 1,
        ..all()
    };
    let answer = kv.range(sorted).await.unwrap().into_inner();
    assert_eq!(&answer.kvs[0].key[..], b"k4");
    let old = RangeRequest {
        revision: 3,
        ..all()
    };
    let answer = kv.range(old).await.unwrap().into_inner();
    assert_eq!((answer.count, answer.header.unwrap().revision), (2, 6));
    let negative = RangeRequest {
        revision: -7,
        ..get("k0")
    };
    assert_eq!(kv.range(negative).await.unwrap().into_inner().count, 1);
    let filtered = RangeRequest {
        min_mod_revision: 4,
        ..get("k0")
    };
    let answer = kv.range(filtered).await.unwrap().into_inner();
    assert_eq!((answer.count, answer.kvs.len()), (1, 0));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_range_comes_in_one_consistent_piece() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    let value = "x".repeat(1000);
    for n in 0..30 {
        let puts = (0..100).map(|m| RequestOp {
            request: Some(Request::RequestPut(PutRequest {
                key: format!("k{n:02}{m:02}").into(),
                value: value.clone().into(),
                ..Default::default()
            })),
        });
        kv.txn(TxnRequest {
            success: puts.collect(),
            ..Default::default()
        })
        .await
        .unwrap();
    }
    let answer = kv.range(all()).await.unwrap().into_inner();
    assert_eq!((answer.count, answer.kvs.len()), (3000, 3000));
    assert!(answer.kvs.is_sorted_by(|a, b| a.key < b.key));
    let mut stream = kv.range_stream(all()).await.unwrap().into_inner();
    let mut merged = Vec::new();
    let mut count = 0;
    while let Some(piece) = stream.message().await.unwrap() {
        let piece = piece.range_response.unwrap();
        count += piece.count;
        merged.extend(piece.kvs);
    }
    assert_eq!((count, merged), (3000, answer.kvs));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_reads_are_refused_as_by_etcd() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    for n in 0..4 {
        put(&mut kv, "foo", &n.to_string()).await;
    }
    refused(kv.range(get("")).await, EtcdError::EMPTY_KEY);
    let at = |revision| RangeRequest {
        revision,
        ..get("foo")
    };
    refused(kv.range(at(99)).await, EtcdError::FUTURE_REVISION);
    let order = RangeRequest {
        sort_order: 9,
        ..get("foo")
    };
    refused(kv.range(order).await, EtcdError::INVALID_SORT_OPTION);
    let target = RangeRequest {
        sort_target: 9,
        ..get("foo")
    };
    refused(kv.range(target).await, EtcdError::INVALID_SORT_OPTION);
    kv.compact(CompactionRequest {
        revision: 4,
        physical: false,
    })
    .await
    .unwrap();
    refused(kv.range(at(3)).await, EtcdError::COMPACTED);
    assert_eq!(kv.range(at(4)).await.unwrap().into_inner().count, 1);
    let compacted = kv
        .compact(CompactionRequest {
            revision: 4,
            physical: false,
        })
        .await;
    refused(compacted, EtcdError::COMPACTED);

    let mut request = tonic::Request::new(get("foo"));
    request
        .metadata_mut()
        .insert("meridian-max-staleness", MetadataValue::from_static("soon"));
    let status = kv.range(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("meridian-max-staleness"),
        "{status:?}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_home_and_come_back_untouched() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    put(&mut kv, "foo", "1").await;
    let request = PutRequest {
        key: "foo".into(),
        prev_kv: true,
        ..Default::default()
    };
    let answer = kv.put(request).await.unwrap();
    assert_eq!(answer.metadata().get("meridian-served-by").unwrap(), "home");
    assert_eq!(&answer.into_inner().prev_kv.unwrap().value[..], b"1");
    let request = PutRequest {
        key: "foo".into(),
        lease: 77,
        ..Default::default()
    };
    refused(kv.put(request).await, EtcdError::LEASE_NOT_FOUND);
    refused(kv.put(PutRequest::default()).await, EtcdError::EMPTY_KEY);
    let request = DeleteRangeRequest {
        key: "foo".into(),
        ..Default::default()
    };
    assert_eq!(
        kv.delete_range(request).await.unwrap().into_inner().deleted,
        1
    );
    let large = PutRequest {
        key: "foo".into(),
        value: vec![0; 3 << 20].into(),
        ..Default::default()
    };
    let status = kv.put(large).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(
        status
            .message()
            .starts_with("grpc: received message larger than max (")
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_would_kill_etcd_does_not_go_home() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    let written = put(&mut kv, "k", "v").await.header.unwrap().revision;
    let op = |request| RequestOp {
        request: Some(request),
    };
    let delete = op(Request::RequestDeleteRange(DeleteRangeRequest {
        key: "a".into(),
        range_end: vec![0].into(),
        ..Default::default()
    }));
    let keep = |key: &'static str| {
        op(Request::RequestPut(PutRequest {
            key: key.into(),
            ignore_value: true,
            ..Default::default()
        }))
    };
    let of = |success| TxnRequest {
        success,
        ..Default::default()
    };
    let deadly = of(vec![delete.clone(), keep("k")]);
    refused(kv.txn(deadly).await, EtcdError::DUPLICATE_KEY);
    // What etcd finds first is told first.
    let deadly = of(vec![delete.clone(), keep("k"), keep("")]);
    refused(kv.txn(deadly).await, EtcdError::EMPTY_KEY);
    let harmless = of(vec![keep("k"), delete]);
    let answer = kv.txn(harmless).await.unwrap().into_inner();
    assert_eq!(answer.header.unwrap().revision, written + 1);
    assert_eq!(answer.responses.len(), 2);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_only_read_are_answered_here() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    put(&mut kv, "foo", "1").await;
    let range = RequestOp {
        request: Some(Request::RequestRange(get("foo"))),
    };
    let compare = Compare {
        target: CompareTarget::Version.into(),
        key: "foo".into(),
        target_union: Some(TargetUnion::Version(1)),
        ..Default::default()
    };
    let nested = TxnRequest {
        success: vec![range.clone()],
        ..Default::default()
    };
    let nested = RequestOp {
        request: Some(Request::RequestTxn(nested)),
    };
    let txn = TxnRequest {
        compare: vec![compare],
        success: vec![range, nested],
        ..Default::default()
    };
    let answer = kv.txn(txn).await.unwrap();
    assert_eq!(
        answer.metadata().get("meridian-served-by").unwrap(),
        "local"
    );
    let answer = answer.into_inner();
    assert!(answer.succeeded);
    let Some(Response::ResponseRange(range)) = &answer.responses[0].response else {
        panic!("{answer:?}")
    };
    let header = range.header.unwrap();
    assert_eq!((header.cluster_id, header.revision, range.count), (0, 2, 1));
    let Some(Response::ResponseTxn(nested)) = &answer.responses[1].response else {
        panic!("{answer:?}")
    };
    assert_eq!(nested.header.unwrap().revision, 0);

    let empty = TxnRequest::default();
    assert!(kv.txn(empty).await.unwrap().into_inner().succeeded);
    let broken = TxnRequest {
        success: vec![RequestOp::default()],
        ..Default::default()
    };
    refused(kv.txn(broken).await, EtcdError::KEY_NOT_FOUND);
    let many = TxnRequest {
        success: vec![
            RequestOp {
                request: Some(Request::RequestRange(get("k")))
            };
            129
        ],
        ..Default::default()
    };
    refused(kv.txn(many).await, EtcdError::TOO_MANY_OPS);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_list_is_this_gateway() {
    let world = World::start().await;
    let mut cluster = ClusterClient::new(world.channel().await);
    let list = cluster
        .member_list(MemberListRequest::default())
        .await
        .unwrap()
        .into_inner();
    let header = list.header.unwrap();
    assert!(header.cluster_id != 0 && header.revision == 0);
    assert_eq!(list.members.len(), 1);
    let member = &list.members[0];
    assert_eq!((member.id, member.name.as_str()), (header.member_id, NODE));
    assert_eq!(member.client_ur_ls, [ADVERTISED]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_way_home_cut_serializable_reads_go_on() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    put(&mut kv, "foo", "1").await;
    world.way.cut();
    let answer = kv
        .range(serializable(get("foo")))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.count, 1);
    assert_eq!(
        kv.range(get("foo")).await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(
        kv.put(PutRequest {
            key: "a".into(),
            ..Default::default()
        })
        .await
        .unwrap_err()
        .code(),
        Code::Unavailable
    );
    soon(world.engine.leader_lost()).await;
    let mut request = tonic::Request::new(serializable(get("foo")));
    request
        .metadata_mut()
        .insert("hasleader", MetadataValue::from_static("true"));
    refused(kv.range(request).await, EtcdError::NO_LEADER);
    let mut request = tonic::Request::new(get("foo"));
    request.set_timeout(std::time::Duration::from_nanos(1));
    let status = kv.range(request).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    world.way.mend();
    world.stop().await;
}
