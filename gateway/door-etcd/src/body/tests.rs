//! Goal: bodies end once, with the right trailers.

use futures_util::{FutureExt, stream};
use http_body_util::BodyExt;
use meridian_etcd_api::EtcdError;

use super::*;

fn collected(body: DoorBody) -> (Bytes, Option<HeaderMap>) {
    let collected = body
        .collect()
        .now_or_never()
        .expect("nothing waits")
        .expect("infallible");
    let trailers = collected.trailers().cloned();
    (collected.to_bytes(), trailers)
}

#[test]
fn a_message_is_followed_by_status_ok() {
    let (bytes, trailers) = collected(DoorBody::Message(Bytes::from_static(b"m")));
    assert_eq!(&bytes[..], b"m");
    assert_eq!(trailers.unwrap()["grpc-status"], "0");
}

#[test]
fn a_stream_ends_with_its_failure() {
    let items = [
        Ok(Bytes::from_static(b"a")),
        Err(EtcdError::NO_LEADER.into()),
    ];
    let (bytes, trailers) = collected(DoorBody::Stream(Box::pin(stream::iter(items))));
    assert_eq!(&bytes[..], b"a");
    assert_eq!(trailers.unwrap()["grpc-message"], "etcdserver: no leader");
}

#[test]
fn plain_bodies_have_no_trailers() {
    let (bytes, trailers) = collected(DoorBody::Full(Bytes::from_static(b"x")));
    assert_eq!((&bytes[..], trailers), (&b"x"[..], None));
    assert!(DoorBody::Empty.is_end_stream());
}
