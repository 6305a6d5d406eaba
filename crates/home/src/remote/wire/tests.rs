//! Ranges and watch batches, as etcd encodes them, against the generated decoder's view.

use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::{RangeResponse, WatchResponse},
    mvccpb::{Event, KeyValue},
};

use super::*;

fn key_value(key: &'static str, revision: i64) -> KeyValue {
    KeyValue {
        key: Bytes::from(key),
        value: Bytes::from("v"),
        create_revision: 2,
        mod_revision: revision,
        version: 3,
        lease: 7,
    }
}

fn header() -> Option<ResponseHeader> {
    Some(ResponseHeader {
        cluster_id: 1,
        member_id: 2,
        revision: 30,
        raft_term: 4,
    })
}

#[test]
fn a_range_gives_its_records_and_counts() {
    let message = RangeResponse {
        header: header(),
        kvs: vec![key_value("a", 5), key_value("b", 6)],
        more: true,
        count: 9,
    };
    let page = range_page(&message.encode_to_vec()).unwrap();
    assert_eq!(page.facts.revision, Revision::new(30));
    assert_eq!(
        (
            page.facts.cluster_id,
            page.facts.member_id,
            page.facts.raft_term
        ),
        (1, 2, 4)
    );
    assert_eq!((page.more, page.count), (true, 9));
    assert_eq!(page.records[1].encoded(), key_value("b", 6).encode_to_vec());
    assert_eq!(page.records.len(), 2);
}

#[test]
fn a_delete_becomes_a_tombstone_and_previous_values_are_kept() {
    let gone = KeyValue {
        key: Bytes::from("b"),
        mod_revision: 6,
        ..KeyValue::default()
    };
    let message = WatchResponse {
        header: header(),
        watch_id: 0,
        events: vec![
            Event {
                r#type: 0,
                kv: Some(key_value("a", 5)),
                prev_kv: Some(key_value("a", 4)),
            },
            Event {
                r#type: 1,
                kv: Some(gone),
                prev_kv: None,
            },
        ],
        ..WatchResponse::default()
    };
    let batch = watch_batch(&message.encode_to_vec()).unwrap();
    assert!(!batch.created && !batch.canceled);
    assert_eq!(batch.events[0].record.mod_revision(), Revision::new(5));
    let previous = batch.events[0].previous.as_ref().unwrap();
    assert_eq!(previous.mod_revision(), Revision::new(4));
    let record = Record::tombstone(b"b", Revision::new(6));
    assert_eq!(
        batch.events[1],
        meridian_keyspace::Event {
            record,
            previous: None
        }
    );
}

#[test]
fn a_cancel_tells_the_compacted_revision_and_the_reason() {
    let message = WatchResponse {
        canceled: true,
        compact_revision: 12,
        cancel_reason: "why".to_owned(),
        ..WatchResponse::default()
    };
    let batch = watch_batch(&message.encode_to_vec()).unwrap();
    assert!(batch.canceled);
    assert_eq!(
        (batch.compacted, &*batch.cancel_reason),
        (Revision::new(12), "why")
    );
}

#[test]
fn bytes_cut_anywhere_are_refused_or_read_as_less_and_never_panic() {
    let message = RangeResponse {
        header: header(),
        kvs: vec![key_value("a", 5)],
        ..Default::default()
    };
    let whole = message.encode_to_vec();
    for end in 0..whole.len() {
        let _ = range_page(&whole[..end]);
        let _ = watch_batch(&whole[..end]);
    }
    assert!(range_page(&whole[..whole.len() - 1]).is_err());
    assert!(range_page(&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
    assert!(range_page(&[0x07]).is_err());
}
