//! The same over a real home: the embedded one.

use std::sync::Arc;

use futures_util::StreamExt;
use meridian_home::embedded::{EmbeddedConfig, EmbeddedHome};
use meridian_keyspace::KeyRange;
use prost::Message;
use tempfile::TempDir;

use super::{super::LinkHome, world::connect, *};
use crate::{link::WINDOW_BYTES, testing::Pair};

/// What `etcdserverpb.PutRequest` has of interest here.
#[derive(Clone, PartialEq, prost::Message)]
struct Put {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// The same of `etcdserverpb.RangeResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct Found {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<Kv>,
}

/// The same of `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
struct Kv {
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

async fn open(dir: &TempDir) -> (Pair, Arc<LinkHome>) {
    let tasks = meridian_runtime::TaskGroup::root("home");
    let config = EmbeddedConfig {
        dir: dir.path().to_owned(),
        name: "dev".to_owned(),
        client_urls: Vec::new(),
    };
    let embedded = EmbeddedHome::open(config, &tasks).unwrap();
    let (pair, _links, home, _shared) = connect(embedded, WINDOW_BYTES).await;
    (pair, home)
}

async fn put(home: &LinkHome, key: &str, value: &str) {
    let put = Put {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    let call = Call::new(Method::KvPut, put.encode_to_vec().into());
    home.unary(call).await.unwrap();
}

#[tokio::test]
async fn what_is_written_over_the_link_is_read_over_it() {
    let dir = TempDir::new().unwrap();
    let (_pair, home) = open(&dir).await;
    let before = home.read_index().await.unwrap().revision;
    put(&home, "key", "value").await;
    assert_eq!(home.read_index().await.unwrap().revision, before.next());
    let range = Put {
        key: Bytes::from_static(b"key"),
        value: Bytes::new(),
    };
    let call = Call::new(Method::KvRange, range.encode_to_vec().into());
    let reply = home.unary(call).await.unwrap();
    let found = Found::decode(reply.message).unwrap();
    assert_eq!(found.kvs[0].value, "value");
    assert!(!home.auth_enabled().await.unwrap());
}

#[tokio::test]
async fn the_changes_of_a_range_come_over_the_link() {
    let dir = TempDir::new().unwrap();
    let (_pair, home) = open(&dir).await;
    let from = home.read_index().await.unwrap().revision.next();
    put(&home, "a", "1").await;
    put(&home, "x", "not of the range").await;
    let range = KeyRange::from_wire(b"a", b"b");
    let mut changes = home.follow_range(range, from).await.unwrap();
    put(&home, "a", "2").await;
    let until = home.read_index().await.unwrap().revision;
    let mut events = Vec::new();
    let mut complete_to = Revision::ZERO;
    while complete_to < until {
        let step = timeout(SOON, changes.next()).await.unwrap();
        let step = step.unwrap().unwrap();
        complete_to = step.complete_to;
        events.extend(step.changes.into_iter().flat_map(|change| change.events));
    }
    let values: Vec<&[u8]> = events.iter().map(|e| e.record.fields().value).collect();
    assert_eq!(values, [b"1", b"2"]);
    let previous = events[1].previous.as_ref().unwrap();
    assert_eq!(previous.fields().value, b"1");
}

#[tokio::test]
async fn the_log_and_its_errors_come_from_the_feed() {
    let dir = TempDir::new().unwrap();
    let (_pair, home) = open(&dir).await;
    let error = home.snapshot().await.map(drop).unwrap_err();
    assert_eq!(error.code, Code::Unavailable);
    let error = home.follow(Revision::new(2)).await.map(drop).unwrap_err();
    assert!(
        matches!(error, meridian_home::FollowError::Compacted { compacted } if compacted.get() == 3)
    );
}
