//! Goal: counts agree with a real decoder, and no bytes can hurt.

use meridian_etcd_api::{etcdserverpb::WatchResponse, mvccpb};
use prost::Message;

use super::*;

#[test]
fn events_of_a_watch_answer_are_counted_without_decoding() {
    let kv = mvccpb::KeyValue {
        value: "stamp".into(),
        ..mvccpb::KeyValue::default()
    };
    let event = mvccpb::Event {
        kv: Some(kv),
        ..mvccpb::Event::default()
    };
    let answer = WatchResponse {
        watch_id: 7,
        events: vec![event; 3],
        ..WatchResponse::default()
    };
    let encoded = answer.encode_to_vec();
    assert_eq!(
        Fields(&encoded).filter(|field| field.number == 11).count(),
        3
    );
    let value = Fields(&encoded)
        .first(11)
        .and_then(|event| Fields(event).first(2));
    assert_eq!(
        value.and_then(|kv| Fields(kv).first(5)),
        Some(&b"stamp"[..])
    );
}

#[test]
fn arbitrary_bytes_end_the_walk() {
    let mut random = fastrand::Rng::with_seed(3);
    for length in 0..200 {
        let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        assert!(Fields(&bytes).count() <= length);
    }
}
