//! Goal: what is written by hand decodes to what prost would have encoded. Method: random records
//! and events, both encoders, compared as messages and, where field order is etcd's, as bytes.

use meridian_etcd_api::{etcdserverpb as pb, mvccpb};
use meridian_keyspace::{Event, LeaseId, RangeAnswer, Record, Revision, record::Fields};
use proptest::prelude::*;
use prost::Message;

use super::{
    range::{self, Part},
    watch::{self, Events, Notice, Previous},
    *,
};

fn facts(revision: i64) -> Facts {
    Facts {
        cluster_id: u64::MAX,
        member_id: 7,
        raft_term: 300,
        revision: Revision::new(revision),
    }
}

fn header(facts: &Facts) -> Option<pb::ResponseHeader> {
    Some(pb::ResponseHeader {
        cluster_id: facts.cluster_id,
        member_id: facts.member_id,
        revision: facts.revision.get(),
        raft_term: facts.raft_term,
    })
}

fn record() -> impl Strategy<Value = Record> {
    let bytes = |max| proptest::collection::vec(any::<u8>(), 1..max);
    (
        bytes(40),
        bytes(300),
        1..i64::MAX,
        1..i64::MAX,
        1..1000_i64,
        0..i64::MAX,
    )
        .prop_map(|(key, value, create, modified, version, lease)| {
            Record::new(Fields {
                key: &key,
                value: &value,
                create_revision: Revision::new(create),
                mod_revision: Revision::new(modified),
                version,
                lease: LeaseId::new(lease),
            })
        })
}

fn event() -> impl Strategy<Value = Event> {
    (record(), proptest::option::of(record()), any::<bool>()).prop_map(
        |(record, previous, deleted)| {
            let tombstone = Record::tombstone(record.key(), record.mod_revision());
            Event {
                record: if deleted { tombstone } else { record },
                previous,
            }
        },
    )
}

fn key_value(record: &Record) -> mvccpb::KeyValue {
    mvccpb::KeyValue::decode(record.encoded()).expect("a record is a KeyValue")
}

fn pb_event(event: &Event, previous: Previous) -> mvccpb::Event {
    let kind = if event.record.is_tombstone() {
        mvccpb::event::EventType::Delete
    } else {
        mvccpb::event::EventType::Put
    };
    let sent = event
        .previous
        .as_ref()
        .filter(|_| previous == Previous::Sent);
    mvccpb::Event {
        r#type: kind.into(),
        kv: Some(key_value(&event.record)),
        prev_kv: sent.map(key_value),
    }
}

/// The messages of a buffer of frames.
fn messages(mut frames: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while !frames.is_empty() {
        assert_eq!(frames[0], 0, "not compressed");
        let len = u32::from_be_bytes(frames[1..5].try_into().unwrap()) as usize;
        messages.push(&frames[5..5 + len]);
        frames = &frames[5 + len..];
    }
    messages
}

proptest! {
    #[test]
    fn range_answer_is_byte_for_byte_what_prost_encodes(
        records in proptest::collection::vec(record(), 0..8),
        more in any::<bool>(),
        count in 0..i64::MAX,
        revision in 1..i64::MAX,
    ) {
        let mut answer = Answer::with_capacity(0);
        for record in &records {
            range::put_record(answer.body(), record, Part::Whole);
        }
        let found = RangeAnswer { current: Revision::new(revision), count, more };
        let frame = range::finish(answer, &facts(1), &found);
        let expected = pb::RangeResponse {
            header: header(&facts(revision)),
            kvs: records.iter().map(key_value).collect(),
            more,
            count,
        };
        let expected = expected.encode_to_vec();
        prop_assert_eq!(messages(&frame), vec![&expected[..]]);
    }

    #[test]
    fn keys_only_leaves_out_the_value_and_nothing_else(record in record()) {
        let mut answer = Answer::with_capacity(0);
        range::put_record(answer.body(), &record, Part::WithoutValue);
        let found = RangeAnswer { current: Revision::new(9), count: 1, more: false };
        let frame = range::finish(answer, &facts(9), &found);
        let mut expected = key_value(&record);
        expected.value = Bytes::new();
        let answer = pb::RangeResponse::decode(messages(&frame)[0]).unwrap();
        prop_assert_eq!(answer.kvs, vec![expected]);
    }

    #[test]
    fn point_answer_is_a_range_of_one(record in proptest::option::of(record())) {
        let frame = range::point(record.as_ref()).finish(&facts(5));
        let kvs: Vec<_> = record.iter().map(key_value).collect();
        let expected = pb::RangeResponse {
            header: header(&facts(5)),
            count: kvs.len() as i64,
            kvs,
            more: false,
        };
        let expected = expected.encode_to_vec();
        prop_assert_eq!(messages(&frame), vec![&expected[..]]);
    }

    #[test]
    fn watch_events_are_byte_for_byte_what_prost_encodes(
        events in proptest::collection::vec(event(), 1..6),
        watch_id in any::<i64>(),
        sent in any::<bool>(),
    ) {
        let previous = if sent { Previous::Sent } else { Previous::Left };
        let mut out = BytesMut::new();
        let wanted = &mut events.iter();
        let count =
            watch::put_events(&mut out, Events { header: &Header::of(&facts(8)), watch_id, previous, wanted });
        prop_assert_eq!(count, events.len());
        let expected = pb::WatchResponse {
            header: header(&facts(8)),
            watch_id,
            events: events.iter().map(|event| pb_event(event, previous)).collect(),
            ..Default::default()
        };
        let expected = expected.encode_to_vec();
        prop_assert_eq!(messages(&out), vec![&expected[..]]);
    }

    #[test]
    fn fragments_hold_every_event_once_and_keep_to_the_limit(
        events in proptest::collection::vec(event(), 1..30),
        limit in 200_usize..3000,
    ) {
        let mut out = BytesMut::new();
        let wanted = &mut events.iter();
        let previous = Previous::Sent;
        watch::put_fragments(
            &mut out,
            Events { header: &Header::of(&facts(8)), watch_id: 2, previous, wanted },
            limit,
        );
        let decoded: Vec<_> = messages(&out)
            .into_iter()
            .map(|message| (message.len(), pb::WatchResponse::decode(message).unwrap()))
            .collect();
        let last = decoded.len() - 1;
        for (n, (len, message)) in decoded.iter().enumerate() {
            prop_assert_eq!(message.fragment, n != last);
            prop_assert!(*len < limit || message.events.len() == 1);
            prop_assert_eq!(&message.header, &header(&facts(8)));
        }
        let got: Vec<_> = decoded.into_iter().flat_map(|(_, message)| message.events).collect();
        let all: Vec<_> = events.iter().map(|event| pb_event(event, previous)).collect();
        prop_assert_eq!(got, all);
    }
}

#[test]
fn notices_are_what_prost_encodes() {
    let cases = [
        Notice {
            watch_id: 3,
            created: true,
            ..Notice::default()
        },
        Notice {
            watch_id: -1,
            created: true,
            canceled: true,
            cancel_reason: "so",
            compact_revision: 0,
        },
        Notice {
            canceled: true,
            compact_revision: 77,
            ..Notice::default()
        },
        Notice {
            watch_id: -1,
            ..Notice::default()
        },
    ];
    for notice in cases {
        let mut out = BytesMut::new();
        watch::put_notice(&mut out, &facts(4), &notice);
        let expected = pb::WatchResponse {
            header: header(&facts(4)),
            watch_id: notice.watch_id,
            created: notice.created,
            canceled: notice.canceled,
            compact_revision: notice.compact_revision,
            cancel_reason: notice.cancel_reason.to_owned(),
            ..Default::default()
        };
        assert_eq!(messages(&out), [expected.encode_to_vec().as_slice()]);
    }
}

#[test]
fn frames_follow_one_another_in_one_buffer() {
    let record = Record::tombstone(b"k", Revision::new(2));
    let events = [Event {
        record,
        previous: None,
    }];
    let mut out = BytesMut::new();
    for id in 0..3 {
        let wanted = &mut events.iter();
        let previous = Previous::Left;
        watch::put_events(
            &mut out,
            Events {
                header: &Header::of(&facts(2)),
                watch_id: id,
                previous,
                wanted,
            },
        );
    }
    let ids: Vec<_> = messages(&out)
        .into_iter()
        .map(|message| pb::WatchResponse::decode(message).unwrap().watch_id)
        .collect();
    assert_eq!(ids, [0, 1, 2]);
}

#[test]
fn a_watcher_that_wants_none_of_the_events_is_told_nothing() {
    let mut out = BytesMut::from(&b"before"[..]);
    let wanted = &mut std::iter::empty();
    let previous = Previous::Left;
    watch::put_events(
        &mut out,
        Events {
            header: &Header::of(&facts(2)),
            watch_id: 0,
            previous,
            wanted,
        },
    );
    assert_eq!(&out[..], b"before");
}

#[test]
fn varints_are_measured_as_they_are_written() {
    for shift in 0..64 {
        for value in [(1_u64 << shift) - 1, 1 << shift] {
            let mut out = BytesMut::new();
            put_varint(&mut out, value);
            assert_eq!(varint_bytes(value), out.len(), "{value}");
        }
    }
}
