//! What is known of a call that failed, and what is sent again.

use super::*;
use crate::{
    link::{Kind, Parts, wire::CallHead},
    testing::mutate,
};

fn put() -> Call {
    Call::new(Method::KvPut, Bytes::from_static(b"a write"))
}

#[tokio::test]
async fn a_write_cut_in_flight_is_unknown_and_is_never_sent_again() {
    let world = World::new().await;
    let home = world.home.clone();
    let call = tokio::spawn(async move { home.unary(put()).await });
    eventually(|| world.scripted.count(Method::KvPut) == 1).await;
    // There is another link at once, to tempt it.
    let next = world.reconnect().await;
    world.links.hub.send_replace(Some(next));
    world.pair.accepted.close("cut");
    let error = timeout(SOON, call).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error.fate, Fate::Unknown);
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(
        error.message,
        "etcdserver: request timed out, possibly due to connection lost"
    );
    // The next link works, and the write did not go over it.
    let call = Call::new(Method::KvRange, Bytes::new());
    world.home.unary(call).await.unwrap();
    assert_eq!(world.scripted.count(Method::KvPut), 1);
    eventually(|| world.scripted.dropped() == 1).await;
}

#[tokio::test]
async fn a_read_cut_in_flight_is_sent_again() {
    let world = World::new().await;
    world
        .scripted
        .hangs
        .store(1, std::sync::atomic::Ordering::SeqCst);
    let home = world.home.clone();
    let read = Call::new(Method::KvRange, Bytes::from_static(b"a read"));
    let call = tokio::spawn(async move { home.unary(read).await });
    eventually(|| world.scripted.count(Method::KvRange) == 1).await;
    let next = world.reconnect().await;
    world.links.hub.send_replace(Some(next));
    world.pair.accepted.close("cut");
    let reply = timeout(SOON, call).await.unwrap().unwrap().unwrap();
    assert_eq!(reply.message, "a read");
    assert_eq!(world.scripted.count(Method::KvRange), 2);
}

#[tokio::test]
async fn without_a_link_a_call_waits_for_one_and_was_not_sent() {
    let world = World::new().await;
    world.links.hub.send_replace(None);
    let call = Call {
        deadline: Some(Instant::now() + Duration::from_millis(100)),
        ..put()
    };
    let error = world.home.unary(call).await.unwrap_err();
    assert_eq!(error.fate, Fate::NotSent);
    assert_eq!(error.code, Code::DeadlineExceeded);

    let home = world.home.clone();
    let read = Call::new(Method::KvRange, Bytes::new());
    let waiting = tokio::spawn(async move { home.unary(read).await });
    world.links.hub.send_replace(Some(world.reconnect().await));
    timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(world.scripted.count(Method::KvPut), 0);
}

#[tokio::test]
async fn a_dead_link_opens_no_stream_so_nothing_was_sent() {
    let world = World::new().await;
    world.pair.link.close("dead");
    let begun = Instant::now();
    let error = world.home.unary(put()).await.unwrap_err();
    assert_eq!(error.fate, Fate::NotSent);
    assert_eq!(error.code, Code::Unavailable);
    assert_eq!(error.message, "there is no connection available");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(world.scripted.count(Method::KvPut), 0);
}

#[tokio::test]
async fn a_deadline_that_passes_drops_the_call_at_the_home() {
    let world = World::new().await;
    let call = Call {
        deadline: Some(Instant::now() + Duration::from_millis(200)),
        ..put()
    };
    let error = world.home.unary(call).await.unwrap_err();
    assert_eq!(error.code, Code::DeadlineExceeded);
    assert_eq!(error.message, "etcdserver: context deadline exceeded");
    assert_eq!(error.fate, Fate::Unknown);
    eventually(|| world.scripted.dropped() == 1).await;
}

#[tokio::test]
async fn a_dropped_call_is_dropped_at_the_home() {
    let world = World::new().await;
    let home = world.home.clone();
    let call = tokio::spawn(async move { home.unary(put()).await });
    eventually(|| world.scripted.count(Method::KvPut) == 1).await;
    call.abort();
    eventually(|| world.scripted.dropped() == 1).await;
}

#[tokio::test]
async fn a_method_that_the_hub_does_not_know_was_not_sent() {
    let world = World::new().await;
    let (mut send, mut recv) = world.raw(Kind::UnaryCall).await;
    let head = CallHead {
        method: "/etcdserverpb.KV/Later".to_owned(),
        ..CallHead::default()
    };
    send.message(&head).await.unwrap();
    send.frame(Bytes::new()).await.unwrap();
    let answer: crate::link::wire::CallAnswer = recv.message().await.unwrap();
    let Some(crate::link::wire::answer::Body::Failure(failure)) = answer.body else {
        panic!("it is refused");
    };
    assert_eq!(failure.code, Code::Unimplemented as i32);
    assert_eq!(failure.fate, 1);
}

#[tokio::test]
async fn what_is_no_call_is_given_up_and_harms_nobody() {
    let world = World::new().await;
    for kind in Kind::ALL {
        let (mut send, mut recv) = world.raw(kind).await;
        let mut junk = [Bytes::from(noise(u64::from(kind.byte()), 3_000))];
        // The hub may have given it up already.
        let _ = send.chunks(&mut junk).await;
        let _ = send.open_and_finish().await;
        let end = async { while let Ok(Some(_)) = recv.chunk().await {} };
        timeout(SOON, end).await.unwrap();
    }
    let call = Call::new(Method::KvRange, Bytes::new());
    world.home.unary(call).await.unwrap();
}

#[tokio::test]
async fn mutated_calls_harm_nobody() {
    let world = World::new().await;
    let head = CallHead {
        method: Method::Watch.path().to_owned(),
        metadata: super::super::convert::entries(&metadata()),
        timeout_ms: Some(5_000),
    };
    let frames = |tag: &[u8]| -> Vec<u8> {
        let tagged = Bytes::from([tag, b"\x12key".as_slice()].concat());
        let parts = Parts::new()
            .message(&head)
            .frame(tagged.clone())
            .frame(tagged);
        parts.into_chunks().concat()
    };
    let seeds = [
        frames(&[]),
        frames(&[0]),
        frames(&[1]),
        frames(&[2]),
        frames(&[3]),
    ];
    let mut streams = Vec::new();
    mutate(&seeds, 300, |bytes| {
        streams.push(Bytes::copy_from_slice(bytes))
    });
    for (number, bytes) in streams.into_iter().enumerate() {
        let kind = [Kind::UnaryCall, Kind::StreamingCall, Kind::FollowRange][number % 3];
        let (mut send, recv) = world.raw(kind).await;
        // The hub may have given it up already.
        let _ = send.chunks(&mut [bytes]).await;
        send.finish();
        drop(recv);
    }
    let call = Call::new(Method::KvRange, Bytes::new());
    timeout(SOON, world.home.unary(call))
        .await
        .unwrap()
        .unwrap();
}
