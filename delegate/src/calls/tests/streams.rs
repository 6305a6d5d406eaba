//! Streaming calls.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};
use meridian_home::{FollowError, Replies, StreamCall};
use meridian_keyspace::KeyRange;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{world::FLOOD_BYTES, *};

fn call(
    method: Method,
    requests: impl futures_core::Stream<Item = Bytes> + Send + 'static,
) -> StreamCall {
    StreamCall {
        method,
        metadata: metadata(),
        requests: requests.boxed(),
    }
}

#[tokio::test]
async fn messages_pass_both_ways_as_they_come() {
    let world = World::new().await;
    let (requests, receiver) = mpsc::channel(4);
    let opened = world
        .home
        .stream(call(Method::Watch, ReceiverStream::new(receiver)));
    let Replies {
        metadata: initial,
        mut messages,
    } = opened.await.unwrap();
    assert_eq!(initial.as_ref(), metadata().as_ref());
    for len in [0, 1, 5_000, 3 << 20] {
        let request = Bytes::from(noise(2, len));
        requests.send(request.clone()).await.unwrap();
        let reply = timeout(SOON, messages.next()).await.unwrap();
        assert_eq!(reply.unwrap().unwrap(), request);
    }
    // The end of the requests is the end of this call, and it is a good one.
    drop(requests);
    assert!(timeout(SOON, messages.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn much_passes_both_ways_within_the_credit() {
    let world = World::new().await;
    let total = 40;
    let requests = stream::iter((0..total).map(|seed| Bytes::from(noise(seed, 200 << 10))));
    let opened = world.home.stream(call(Method::Watch, requests)).await;
    let replies: Vec<_> = timeout(SOON, opened.unwrap().messages.collect())
        .await
        .unwrap();
    assert_eq!(replies.len() as u64, total);
    for (seed, reply) in (0..).zip(replies) {
        assert_eq!(reply.unwrap(), noise(seed, 200 << 10));
    }
}

#[tokio::test]
async fn an_error_after_messages_is_the_last_item() {
    let world = World::new().await;
    let opened = world
        .home
        .stream(call(Method::ElectionObserve, stream::pending()));
    let items: Vec<_> = timeout(SOON, opened.await.unwrap().messages.collect())
        .await
        .unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!(*items[1].as_ref().unwrap(), "two");
    let error = items[2].as_ref().unwrap_err();
    assert_eq!(error.code, Code::FailedPrecondition);
    assert_eq!(error.metadata.as_ref(), metadata().as_ref());
    assert_eq!(error.fate, Fate::Refused);
}

#[tokio::test]
async fn a_stream_that_is_refused_says_why() {
    let world = World::new().await;
    let opened = world
        .home
        .stream(call(Method::MaintenanceSnapshot, stream::empty()));
    let error = timeout(SOON, opened).await.unwrap().map(drop).unwrap_err();
    assert_eq!(error.message, "etcdserver: user name already exists");
}

#[tokio::test]
async fn a_dropped_stream_is_dropped_at_the_home() {
    let world = World::new().await;
    let opened = world.home.stream(call(Method::Watch, stream::pending()));
    let replies = opened.await.unwrap();
    drop(replies);
    eventually(|| world.scripted.dropped() == 1).await;
}

#[tokio::test]
async fn a_stream_cut_in_flight_ends_with_what_etcd_says_of_a_lost_connection() {
    let world = World::new().await;
    let opened = world.home.stream(call(Method::Watch, stream::pending()));
    let mut messages = opened.await.unwrap().messages;
    world.pair.accepted.close("cut");
    let error = timeout(SOON, messages.next()).await.unwrap();
    let error = error.unwrap().unwrap_err();
    assert_eq!(error.fate, Fate::Unknown);
    assert_eq!(error.code, Code::Unavailable);
    assert!(messages.next().await.is_none());
    eventually(|| world.scripted.dropped() == 1).await;
}

#[tokio::test]
async fn streams_that_are_not_read_are_bounded_and_hold_up_nobody() {
    // More is unread in all than the whole link may have on its way.
    const STREAMS: usize = 20;
    let world = World::with_window(1 << 20).await;
    let mut unread = Vec::new();
    for _ in 0..STREAMS {
        let opened = world
            .home
            .stream(call(Method::LeaseKeepAlive, stream::pending()));
        unread.push(timeout(SOON, opened).await.unwrap().unwrap());
    }
    let per_stream = (1 << 20) / FLOOD_BYTES + 2;
    let full = (1 << 20) / FLOOD_BYTES;
    eventually(|| world.scripted.flooded.load(Ordering::SeqCst) >= STREAMS * full).await;
    for _ in 0..20 {
        let read = Call::new(Method::KvRange, Bytes::from_static(b"passes"));
        timeout(SOON, world.home.unary(read))
            .await
            .unwrap()
            .unwrap();
        timeout(SOON, world.home.read_index())
            .await
            .unwrap()
            .unwrap();
    }
    let flooded = world.scripted.flooded.load(Ordering::SeqCst);
    assert!(
        flooded <= STREAMS * per_stream,
        "{flooded} messages for nobody"
    );
    // Who reads again gets more.
    let mut messages = unread.pop().unwrap().messages;
    for _ in 0..3 * full {
        let message = timeout(SOON, messages.next()).await.unwrap().unwrap();
        assert_eq!(message.unwrap().len(), FLOOD_BYTES);
    }
}

#[tokio::test]
async fn compacted_history_of_a_range_is_told_with_its_revision() {
    let world = World::new().await;
    let range = KeyRange::from_wire(b"a", b"b");
    let followed = world.home.follow_range(range, Revision::new(5)).await;
    let error = followed.map(drop).unwrap_err();
    assert!(matches!(error, FollowError::Compacted { compacted } if compacted.get() == 6));
}
