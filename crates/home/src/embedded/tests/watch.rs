//! Watches: what a client sees, message by message.

use super::*;
use pb::watch_request::RequestUnion;

pub(super) fn create(key: Bytes, range_end: Bytes, start_revision: i64) -> Bytes {
    create_with(pb::WatchCreateRequest {
        key,
        range_end,
        start_revision,
        ..Default::default()
    })
}

fn create_with(request: pb::WatchCreateRequest) -> Bytes {
    watch_request(RequestUnion::CreateRequest(request))
}

fn watch_request(union: RequestUnion) -> Bytes {
    pb::WatchRequest {
        request_union: Some(union),
    }
    .encode_to_vec()
    .into()
}

fn on(key: &str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: bytes(key),
        ..Default::default()
    }
}

fn values(response: &pb::WatchResponse) -> Vec<String> {
    let value = |event: &meridian_etcd_api::mvccpb::Event| {
        String::from_utf8(event.kv.as_ref().unwrap().value.to_vec()).unwrap()
    };
    response.events.iter().map(value).collect()
}

#[tokio::test]
async fn the_past_comes_first_then_the_present() {
    let f = Fixture::new();
    for value in ["1", "2", "3"] {
        f.put("a", value).await;
    }
    let (requests, mut replies) = f.stream(Method::Watch).await;
    requests
        .send(create_with(pb::WatchCreateRequest {
            start_revision: 3,
            prev_kv: true,
            ..on("a")
        }))
        .await
        .unwrap();
    let created: pb::WatchResponse = next(&mut replies).await;
    assert_eq!(
        (
            created.created,
            created.watch_id,
            created.header.unwrap().revision
        ),
        (true, 0, 4)
    );
    let mut seen = Vec::new();
    f.put("a", "4").await;
    f.delete("a").await;
    while seen.len() < 4 {
        let response: pb::WatchResponse = next(&mut replies).await;
        seen.extend(response.events);
    }
    let previous: Vec<Bytes> = seen
        .iter()
        .map(|e| e.prev_kv.as_ref().unwrap().value.clone())
        .collect();
    assert_eq!(previous, [bytes("1"), bytes("2"), bytes("3"), bytes("4")]);
    let deleted = seen[3].kv.as_ref().unwrap();
    assert_eq!(
        (
            deleted.mod_revision,
            deleted.create_revision,
            deleted.version
        ),
        (6, 0, 0)
    );
    assert_eq!(seen[3].r#type, 1);
}

#[tokio::test]
async fn ids_are_etcds() {
    let f = Fixture::new();
    let (requests, mut replies) = f.stream(Method::Watch).await;
    for id in [0, 1, 0, 1] {
        requests
            .send(create_with(pb::WatchCreateRequest {
                watch_id: id,
                ..on("a")
            }))
            .await
            .unwrap();
    }
    for expected in [0, 1, 2] {
        let response: pb::WatchResponse = next(&mut replies).await;
        assert_eq!(
            (response.watch_id, response.created, response.canceled),
            (expected, true, false)
        );
    }
    let duplicate: pb::WatchResponse = next(&mut replies).await;
    assert_eq!(
        (duplicate.watch_id, duplicate.created, duplicate.canceled),
        (-1, true, true)
    );
    assert_eq!(
        duplicate.cancel_reason,
        "mvcc: duplicate watch ID provided on the WatchStream"
    );

    let empty = pb::WatchCreateRequest {
        range_end: bytes("a"),
        ..on("b")
    };
    requests.send(create_with(empty)).await.unwrap();
    let empty: pb::WatchResponse = next(&mut replies).await;
    assert_eq!(empty.cancel_reason, "mvcc: watcher range is empty");

    let cancel = |watch_id| {
        watch_request(RequestUnion::CancelRequest(pb::WatchCancelRequest {
            watch_id,
        }))
    };
    requests.send(cancel(77)).await.unwrap();
    requests.send(cancel(1)).await.unwrap();
    let canceled: pb::WatchResponse = next(&mut replies).await;
    assert_eq!(
        (canceled.watch_id, canceled.canceled),
        (1, true),
        "unknown ids are passed over"
    );
}

#[tokio::test]
async fn filters_and_future_starts_hold_back() {
    let f = Fixture::new();
    let (requests, mut replies) = f.stream(Method::Watch).await;
    let no_puts = pb::WatchCreateRequest {
        filters: vec![0],
        ..on("a")
    };
    let later = pb::WatchCreateRequest {
        start_revision: 4,
        ..on("a")
    };
    requests.send(create_with(no_puts)).await.unwrap();
    requests.send(create_with(later)).await.unwrap();
    next::<pb::WatchResponse>(&mut replies).await;
    next::<pb::WatchResponse>(&mut replies).await;
    f.put("a", "2").await;
    f.put("a", "3").await;
    f.put("a", "4").await;
    f.delete("a").await;
    let seen = [
        next::<pb::WatchResponse>(&mut replies).await,
        next(&mut replies).await,
        next(&mut replies).await,
    ];
    assert_eq!(
        (seen[0].watch_id, values(&seen[0])),
        (1, vec!["4".to_owned()])
    );
    let mut deletes: Vec<i64> = seen[1..].iter().map(|response| response.watch_id).collect();
    deletes.sort_unstable();
    assert_eq!(deletes, [0, 1]);
}

#[tokio::test]
async fn progress_comes_after_every_event_up_to_it() {
    let f = Fixture::new();
    let (requests, mut replies) = f.stream(Method::Watch).await;
    requests
        .send(create(all().key, all().range_end, 1))
        .await
        .unwrap();
    next::<pb::WatchResponse>(&mut replies).await;
    for n in 0..50 {
        f.put("a", &n.to_string()).await;
    }
    let progress = pb::WatchProgressRequest {};
    requests
        .send(watch_request(RequestUnion::ProgressRequest(progress)))
        .await
        .unwrap();
    let mut last = 1;
    loop {
        let response: pb::WatchResponse = next(&mut replies).await;
        if response.watch_id == -1 {
            assert_eq!(response.header.unwrap().revision, 51);
            break;
        }
        for event in &response.events {
            let revision = event.kv.as_ref().unwrap().mod_revision;
            assert_eq!(revision, last + 1);
            last = revision;
        }
    }
    assert_eq!(last, 51);
}

#[tokio::test]
async fn compacted_history_cancels() {
    let f = Fixture::new();
    for n in 0..5 {
        f.put("a", &n.to_string()).await;
    }
    f.delete("a").await;
    f.compact(7).await;
    let (requests, mut replies) = f.stream(Method::Watch).await;
    requests
        .send(create(bytes("a"), Bytes::new(), 6))
        .await
        .unwrap();
    assert!(next::<pb::WatchResponse>(&mut replies).await.created);
    let canceled: pb::WatchResponse = next(&mut replies).await;
    assert_eq!((canceled.canceled, canceled.compact_revision), (true, 7));
    requests
        .send(create(bytes("a"), Bytes::new(), 7))
        .await
        .unwrap();
    assert!(next::<pb::WatchResponse>(&mut replies).await.created);
    let at: pb::WatchResponse = next(&mut replies).await;
    assert_eq!(
        at.events[0].r#type, 1,
        "the tombstone at the compacted revision is still told"
    );
    requests
        .send(create(bytes("a"), Bytes::new(), -1))
        .await
        .unwrap();
    let negative: pb::WatchResponse = next(&mut replies).await;
    assert_eq!(
        (negative.watch_id, negative.created, negative.canceled),
        (-1, true, true)
    );
}

#[tokio::test]
async fn one_large_revision_arrives_whole_or_in_fragments_as_asked() {
    let f = Fixture::new();
    let value = "v".repeat(60_000);
    let (requests, mut replies) = f.stream(Method::Watch).await;
    for fragment in [false, true] {
        let create = pb::WatchCreateRequest {
            fragment,
            key: all().key,
            range_end: all().range_end,
            ..Default::default()
        };
        requests.send(create_with(create)).await.unwrap();
        next::<pb::WatchResponse>(&mut replies).await;
    }
    // 24 puts of 60 kB in one request, deleted together with their values as previous ones.
    let success: Vec<_> = (0..24)
        .map(|n| put_op(&format!("k{n:02}"), &value))
        .collect();
    let txn = pb::TxnRequest {
        success,
        ..Default::default()
    };
    f.call::<pb::TxnResponse>(Method::KvTxn, txn).await.unwrap();
    let mut events = [0, 0];
    while events != [24, 24] {
        let response: pb::WatchResponse = next(&mut replies).await;
        events[response.watch_id as usize] += response.events.len();
        assert!(response.watch_id == 1 || response.events.len() == 24);
    }
}

#[tokio::test]
async fn fragments_stay_below_the_bound_and_lose_nothing() {
    let event = |n: u8| meridian_etcd_api::mvccpb::Event {
        kv: Some(meridian_etcd_api::mvccpb::KeyValue {
            key: vec![n; 100].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let response = pb::WatchResponse {
        watch_id: 3,
        events: (0..50).map(event).collect(),
        ..Default::default()
    };
    let parts = crate::embedded::watch::fragments(response.clone(), 1000);
    assert!(
        parts
            .iter()
            .all(|part| part.encoded_len() < 1000 && part.watch_id == 3)
    );
    let (last, others) = parts.split_last().unwrap();
    assert!(!last.fragment && others.iter().all(|part| part.fragment));
    let events: Vec<_> = parts.into_iter().flat_map(|part| part.events).collect();
    assert_eq!(events, response.events);
}
