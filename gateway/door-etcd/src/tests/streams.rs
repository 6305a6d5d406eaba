//! Watches, keepalives, health.

use meridian_engine::Mode;
use meridian_etcd_api::{
    EtcdError,
    etcdserverpb::{
        CompactionRequest, LeaseGrantRequest, LeaseKeepAliveRequest, PutRequest, RangeRequest,
        RequestOp, TxnRequest, WatchCancelRequest, WatchCreateRequest, WatchProgressRequest,
        WatchRequest, WatchResponse, lease_client::LeaseClient, request_op::Request,
        watch_client::WatchClient, watch_request::RequestUnion,
    },
    mvccpb::event::EventType,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, metadata::MetadataValue, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::world::{World, put, soon};

/// One client watch stream.
struct Stream {
    requests: mpsc::Sender<WatchRequest>,
    answers: Streaming<WatchResponse>,
}

impl Stream {
    async fn open(world: &World) -> Self {
        Self::open_with(world, false)
            .await
            .expect("the door opens it")
    }

    async fn open_with(world: &World, hasleader: bool) -> Result<Self, Status> {
        Self::open_on(world.channel().await, hasleader).await
    }

    async fn open_on(channel: Channel, hasleader: bool) -> Result<Self, Status> {
        let (requests, sent) = mpsc::channel(64);
        let mut request = tonic::Request::new(ReceiverStream::new(sent));
        if hasleader {
            request
                .metadata_mut()
                .insert("hasleader", MetadataValue::from_static("true"));
        }
        let mut client = WatchClient::new(channel).max_decoding_message_size(usize::MAX);
        let answers = client.watch(request).await?.into_inner();
        Ok(Self { requests, answers })
    }

    async fn ask(&self, union: RequestUnion) {
        let request = WatchRequest {
            request_union: Some(union),
        };
        self.requests
            .send(request)
            .await
            .expect("the stream is open");
    }

    async fn create(&self, create: WatchCreateRequest) {
        self.ask(RequestUnion::CreateRequest(create)).await;
    }

    async fn next(&mut self) -> WatchResponse {
        soon(self.answers.message())
            .await
            .expect("no error")
            .expect("not the end")
    }

    async fn failed(&mut self) -> Status {
        soon(self.answers.message())
            .await
            .expect_err("the stream fails")
    }
}

fn on(key: &str) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.to_owned().into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_created_fed_and_canceled() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    put(&mut kv, "foo", "0").await;
    let mut stream = Stream::open(&world).await;
    stream
        .create(WatchCreateRequest {
            prev_kv: true,
            ..on("foo")
        })
        .await;
    let created = stream.next().await;
    assert!(created.created && created.watch_id == 0);
    assert!(created.header.unwrap().cluster_id != 0);
    put(&mut kv, "bar", "x").await;
    put(&mut kv, "foo", "1").await;
    let events = stream.next().await;
    assert_eq!(events.events.len(), 1);
    let event = &events.events[0];
    assert_eq!(&event.kv.as_ref().unwrap().value[..], b"1");
    assert_eq!(&event.prev_kv.as_ref().unwrap().value[..], b"0");
    let request = meridian_etcd_api::etcdserverpb::DeleteRangeRequest {
        key: "foo".into(),
        ..Default::default()
    };
    kv.delete_range(request).await.unwrap();
    let events = stream.next().await;
    assert_eq!(events.events[0].r#type, i32::from(EventType::Delete));
    let gone = events.events[0].kv.as_ref().unwrap();
    assert_eq!(
        (gone.create_revision, gone.version, gone.mod_revision),
        (0, 0, 5)
    );
    stream
        .ask(RequestUnion::CancelRequest(WatchCancelRequest {
            watch_id: 99,
        }))
        .await;
    stream
        .ask(RequestUnion::CancelRequest(WatchCancelRequest {
            watch_id: 0,
        }))
        .await;
    let canceled = stream.next().await;
    assert!(canceled.canceled && canceled.watch_id == 0 && canceled.cancel_reason.is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_delivered_from_the_start_revision_on() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    for n in 0..20 {
        put(&mut kv, "foo", &n.to_string()).await;
    }
    let mut stream = Stream::open(&world).await;
    stream
        .create(WatchCreateRequest {
            start_revision: 5,
            ..on("foo")
        })
        .await;
    assert!(stream.next().await.created);
    let mut seen = Vec::new();
    while seen.len() < 17 {
        let events = stream.next().await.events;
        seen.extend(
            events
                .into_iter()
                .map(|event| event.kv.unwrap().mod_revision),
        );
    }
    assert_eq!(seen, (5..22).collect::<Vec<_>>());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_cannot_be_are_refused_as_by_etcd() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    for n in 0..6 {
        put(&mut kv, "foo", &n.to_string()).await;
    }
    kv.compact(CompactionRequest {
        revision: 5,
        physical: false,
    })
    .await
    .unwrap();
    let mut stream = Stream::open(&world).await;
    stream
        .create(WatchCreateRequest {
            watch_id: 7,
            ..on("foo")
        })
        .await;
    assert_eq!(stream.next().await.watch_id, 7);
    let rejected = [
        (
            WatchCreateRequest {
                watch_id: 7,
                ..on("foo")
            },
            "mvcc: duplicate watch ID provided on the WatchStream",
        ),
        (
            WatchCreateRequest {
                range_end: "a".into(),
                ..on("foo")
            },
            "mvcc: watcher range is empty",
        ),
        (
            WatchCreateRequest {
                start_revision: -1,
                ..on("foo")
            },
            EtcdError::COMPACTED.message(),
        ),
    ];
    for (create, reason) in rejected {
        stream.create(create).await;
        let answer = stream.next().await;
        assert!(answer.created && answer.canceled && answer.watch_id == -1);
        assert_eq!(answer.cancel_reason, reason);
    }
    stream
        .create(WatchCreateRequest {
            start_revision: 2,
            ..on("foo")
        })
        .await;
    assert!(stream.next().await.created);
    let canceled = stream.next().await;
    assert!(canceled.canceled && canceled.compact_revision == 5);
    assert_eq!(canceled.header.unwrap().revision, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_answered_for_the_stream() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    let mut stream = Stream::open(&world).await;
    stream.create(on("foo")).await;
    stream.next().await;
    let revision = put(&mut kv, "bar", "1").await.header.unwrap().revision;
    soon(async {
        loop {
            stream
                .ask(RequestUnion::ProgressRequest(WatchProgressRequest {}))
                .await;
            let answer = stream.next().await;
            assert_eq!((answer.watch_id, answer.events.len()), (-1, 0));
            if answer.header.unwrap().revision >= revision {
                return;
            }
        }
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_revisions_are_split_only_for_those_who_ask() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    let mut whole = Stream::open(&world).await;
    let mut split = Stream::open(&world).await;
    let range = WatchCreateRequest {
        range_end: vec![0].into(),
        ..on("a")
    };
    whole.create(range.clone()).await;
    split
        .create(WatchCreateRequest {
            fragment: true,
            prev_kv: true,
            ..range
        })
        .await;
    whole.next().await;
    split.next().await;
    // Two commits of 1.3 MB; with the records they replace, the second is beyond 2 MiB.
    for round in 0..2 {
        let puts = (0..100).map(|n| RequestOp {
            request: Some(Request::RequestPut(PutRequest {
                key: format!("k{n:03}").into(),
                value: vec![round; 13_000].into(),
                ..Default::default()
            })),
        });
        kv.txn(TxnRequest {
            success: puts.collect(),
            ..Default::default()
        })
        .await
        .unwrap();
        assert_eq!(whole.next().await.events.len(), 100);
        let first = split.next().await;
        assert_eq!(first.fragment, round == 1);
        if first.fragment {
            let second = split.next().await;
            assert!(!second.fragment);
            assert_eq!(first.events.len() + second.events.len(), 100);
        }
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_closing_a_watch_stream_ends_nothing() {
    let world = World::start().await;
    let mut kv = world.kv().await;
    let Stream {
        requests,
        mut answers,
    } = Stream::open(&world).await;
    let request = WatchRequest {
        request_union: Some(RequestUnion::CreateRequest(on("foo"))),
    };
    requests.send(request).await.unwrap();
    drop(requests);
    assert!(soon(answers.message()).await.unwrap().unwrap().created);
    put(&mut kv, "foo", "1").await;
    assert_eq!(
        soon(answers.message()).await.unwrap().unwrap().events.len(),
        1
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_streams_that_want_a_leader_end_without_one() {
    let world = World::start().await;
    let mut plain = Stream::open(&world).await;
    plain.create(on("foo")).await;
    plain.next().await;
    let mut wants = Stream::open_with(&world, true).await.unwrap();
    wants.create(on("foo")).await;
    wants.next().await;
    world.way.cut();
    let status = wants.failed().await;
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "etcdserver: no leader")
    );
    let refused = Stream::open_with(&world, true)
        .await
        .err()
        .expect("it is refused");
    assert_eq!(refused.message(), "etcdserver: no leader");
    world.way.mend();
    let mut kv = world.kv().await;
    put(&mut kv, "foo", "1").await;
    assert_eq!(plain.next().await.events.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_replica_may_no_longer_be_shown_local_watches_end() {
    let world = World::start().await;
    let mut stream = Stream::open(&world).await;
    stream.create(on("foo")).await;
    stream.next().await;
    world.way.enable_auth();
    world.engine.note_auth_changed();
    let status = stream.failed().await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("authentication"), "{status:?}");
    // From now on everything is the home's to answer, watches too.
    let mut kv = world.kv().await;
    let request = RangeRequest {
        key: "foo".into(),
        serializable: true,
        ..Default::default()
    };
    let answer = kv.range(request).await.unwrap();
    assert_eq!(answer.metadata().get("meridian-served-by").unwrap(), "home");
    let mut stream = Stream::open(&world).await;
    stream.create(on("foo")).await;
    assert!(stream.next().await.created);
    put(&mut kv, "foo", "1").await;
    assert_eq!(stream.next().await.events.len(), 1);
    assert_eq!(world.door.status().watch_streams, 0);
    drop(stream);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_ends_streams_so_that_clients_go_elsewhere() {
    let world = World::start().await;
    let mut stream = Stream::open(&world).await;
    stream.create(on("foo")).await;
    stream.next().await;
    assert_eq!(world.door.status().watch_streams, 1);
    let reader = world.door.reader();
    let (status, ()) = tokio::join!(stream.failed(), world.stop());
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(reader.status().watch_streams, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_does_not_wait_for_a_home_that_is_silent() {
    let world = World::start().await;
    world.way.enable_auth();
    world.engine.note_auth_changed();
    world.reaches(Mode::Forwarding).await;
    world.way.lose();
    let mut lease = LeaseClient::new(world.channel().await);
    let channel = world.channel().await;
    let way = world.way.clone();
    let watching = Stream::open_on(channel, false);
    let renewing = lease.lease_keep_alive(tokio_stream::pending());
    let stopping = async {
        way.has_lost(2).await;
        world.stop().await;
    };
    let (watch, renewal, ()) = tokio::join!(soon(watching), soon(renewing), stopping);
    for refused in [watch.err(), renewal.err()] {
        assert_eq!(refused.map(|status| status.code()), Some(Code::Unavailable));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn draining_ends_a_stream_whose_first_message_never_comes() {
    let world = World::start().await;
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let head = "POST /v3/maintenance/snapshot HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut health = HealthClient::new(world.channel().await);
    health.check(HealthCheckRequest::default()).await.unwrap();
    let watching = tokio::spawn(async move { health.watch(HealthCheckRequest::default()).await });
    let mut statuses = soon(watching).await.unwrap().unwrap().into_inner();
    assert_eq!(soon(statuses.message()).await.unwrap().unwrap().status, 1);
    let mut text = String::new();
    let reading = socket.read_to_string(&mut text);
    let (read, ()) = tokio::join!(soon(reading), world.stop());
    read.unwrap();
    assert!(text.contains("etcdserver: server stopped"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keepalives_are_answered_in_order_and_to_the_end() {
    let world = World::start().await;
    let mut lease = LeaseClient::new(world.channel().await);
    let granted = lease
        .lease_grant(LeaseGrantRequest { ttl: 60, id: 5 })
        .await
        .unwrap();
    assert_eq!(granted.into_inner().id, 5);
    let ids = [5, 6, 5];
    let requests = tokio_stream::iter(ids.map(|id| LeaseKeepAliveRequest { id }));
    let mut answers = lease.lease_keep_alive(requests).await.unwrap().into_inner();
    for id in ids {
        let answer = soon(answers.message()).await.unwrap().unwrap();
        assert_eq!((answer.id, answer.ttl), (id, if id == 5 { 60 } else { 0 }));
        assert!(answer.header.unwrap().cluster_id != 0);
    }
    assert!(soon(answers.message()).await.unwrap().is_none());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_that_of_the_whole_server() {
    let world = World::start().await;
    let mut health = HealthClient::new(world.channel().await);
    let answer = health
        .check(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answer.status, 1);
    let unknown = HealthCheckRequest {
        service: "nope".to_owned(),
    };
    let status = health.check(unknown.clone()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "unknown service")
    );
    let mut watch = health.watch(unknown).await.unwrap().into_inner();
    assert_eq!(soon(watch.message()).await.unwrap().unwrap().status, 3);
    drop(watch);
    world.stop().await;
}
