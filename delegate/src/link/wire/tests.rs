//! Goal: the messages keep their bytes from release to release, and hostile bytes are errors.
//! Method: golden bytes; seeded mutations of every message through its decoder.

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::testing::mutate;

fn place() -> Place {
    Place {
        epoch: 2,
        revision: 300,
    }
}

fn name() -> Name {
    Name {
        region: "eu".to_owned(),
        name: "gw-1".to_owned(),
    }
}

fn entry() -> Entry {
    Entry {
        key: "k-bin".to_owned(),
        value: Bytes::from_static(b"AAEC"),
    }
}

fn controls() -> Vec<Control> {
    let hello = Hello {
        protocol: PROTOCOL,
        name: Some(name()),
        relay: Some("gw-1:7471".to_owned()),
        at: Some(place()),
        instance: 9,
        lineage: 8,
        term: 7,
        ..Hello::default()
    };
    let welcome = Welcome {
        protocol: PROTOCOL,
        name: Some(name()),
        lineage: 8,
        head: Some(place()),
        instance: 9,
        term: 7,
    };
    let beat = Heartbeat {
        at: Some(place()),
        term: 7,
        sequence: 5,
        heard: 4,
        ..Heartbeat::default()
    };
    let assigned = Assigned {
        term: 7,
        delegate: Some(name()),
        relay: "gw-1:7471".to_owned(),
    };
    let complaint = Complaint {
        term: 7,
        reason: "silent".to_owned(),
    };
    [
        control::Body::Hello(hello),
        control::Body::Welcome(welcome),
        control::Body::Heartbeat(beat),
        control::Body::Assigned(assigned),
        control::Body::Complaint(complaint),
    ]
    .into_iter()
    .map(Control::from)
    .collect()
}

#[test]
fn control_messages_keep_their_bytes() {
    // If this fails, nodes of two releases no longer understand each other.
    let golden = [
        "0a340801120a0a026575120467772d311a0967772d313a373437312205080210ac022909000000000000003108000000000000003807",
        "12290801120a0a026575120467772d311908000000000000002205080210ac022909000000000000003007",
        "1a0d0a05080210ac02100718052004",
        "22190807120a0a026575120467772d311a0967772d313a37343731",
        "2a0a0807120673696c656e74",
    ];
    for (control, golden) in controls().iter().zip(golden) {
        assert_eq!(hex(&control.encode_to_vec()), golden, "{control:?}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_message_of_a_later_release_is_read_as_far_as_it_is_known() {
    let mut bytes = controls()[2].encode_to_vec();
    // Field 90, which nobody knows yet.
    bytes.extend_from_slice(&[0xd2, 0x05, 0x01, 0xff]);
    assert_eq!(Control::decode(&bytes[..]).unwrap(), controls()[2]);
    assert_eq!(
        Control::decode(&[0xd2, 0x05, 0x01, 0xff][..]).unwrap().body,
        None
    );
    let reply = LogReply { body: None };
    assert_eq!(reply.into_result().unwrap_err().why(), Why::Unknown);
    let later = Refused {
        reason: 99,
        compacted: 0,
    };
    assert_eq!(later.why(), Why::Unknown);
}

/// What is checked of a decoder: it gives a message that encodes again, or an error.
fn decode<M: Message + Default + PartialEq>(bytes: &[u8]) {
    if let Ok(message) = M::decode(bytes) {
        let again = M::decode(&message.encode_to_vec()[..]);
        assert!(again.is_ok_and(|again| again == message));
    }
}

#[test]
fn mutated_messages_never_panic() {
    let mut seeds: Vec<Vec<u8>> = controls().iter().map(Message::encode_to_vec).collect();
    let subscribe = Subscribe {
        epoch: 1,
        lineage: 2,
        from: 3,
        have: Some(Held {
            group: 4,
            batches: 5,
        }),
        term: 6,
        bypass: true,
    };
    let subscribed = Subscribed {
        lineage: 1,
        epoch: 2,
        head: 3,
    };
    let request = SnapshotRequest {
        lineage: 1,
        term: 2,
        resume: Some(Resume {
            revision: 3,
            after_key: Bytes::from_static(b"key"),
            keys_done: 4,
        }),
    };
    let head = CallHead {
        method: "/etcdserverpb.KV/Put".to_owned(),
        metadata: vec![entry(), entry()],
        timeout_ms: Some(1_000),
    };
    let failure = Failure {
        code: 14,
        message: "etcdserver: no leader".to_owned(),
        metadata: vec![entry()],
        fate: 3,
        compacted: Some(5),
    };
    let description = HomeDescription {
        kind: "etcd".to_owned(),
        replicated: true,
        version: Some("3.6.0".to_owned()),
        endpoints: vec![HomeEndpoint::default()],
    };
    let follow = FollowHead {
        key: Bytes::from_static(b"a"),
        range_end: Bytes::from_static(b"b"),
        from: 7,
    };
    seeds.push(subscribe.encode_to_vec());
    seeds.push(LogReply::subscribed(subscribed).encode_to_vec());
    seeds.push(LogReply::refused(Refused::new(Why::Behind)).encode_to_vec());
    seeds.push(request.encode_to_vec());
    seeds.push(SnapshotReply::head(SnapshotHead::default()).encode_to_vec());
    seeds.push(head.encode_to_vec());
    seeds.push(CallAnswer::from(answer::Body::Failure(failure)).encode_to_vec());
    seeds.push(CallAnswer::from(answer::Body::Description(description)).encode_to_vec());
    seeds.push(follow.encode_to_vec());
    mutate(&seeds, 30_000, |bytes| {
        decode::<Control>(bytes);
        decode::<Subscribe>(bytes);
        decode::<LogReply>(bytes);
        decode::<SnapshotRequest>(bytes);
        decode::<SnapshotReply>(bytes);
        decode::<CallHead>(bytes);
        decode::<CallAnswer>(bytes);
        decode::<FollowHead>(bytes);
    });
}
