//! Leases: grants within etcd's bounds, keys that go with their lease, expiry, keepalives.

use super::*;
use tonic::Code;

#[tokio::test]
async fn grants_keep_to_etcds_bounds() {
    let f = Fixture::new();
    let short = f.grant(7, 1).await;
    assert_eq!((short.id, short.ttl), (7, 2), "raised to the least TTL");
    assert_eq!(f.grant(8, -5).await.ttl, 2);
    assert!(f.grant(0, 60).await.id > 0);
    let grant = |id, ttl| pb::LeaseGrantRequest { id, ttl };
    f.refused(Method::LeaseGrant, grant(7, 60), EtcdError::LEASE_EXISTS)
        .await;
    let long = grant(7, 9_000_000_001);
    f.refused(Method::LeaseGrant, long, EtcdError::LEASE_TTL_TOO_LARGE)
        .await;
    let revoke = pb::LeaseRevokeRequest { id: 99 };
    f.refused(Method::LeaseRevoke, revoke, EtcdError::LEASE_NOT_FOUND)
        .await;
    assert_eq!(f.revision(), 1, "leases use no revision");
}

#[tokio::test]
async fn revoking_deletes_the_keys_in_one_revision_in_order() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    for key in ["c", "a", "b"] {
        f.put_with(pb::PutRequest {
            lease: 7,
            ..put(key, "1")
        })
        .await;
    }
    f.put("b", "no longer attached").await;
    let (requests, mut replies) = f.stream(Method::Watch).await;
    requests
        .send(super::watch::create(all().key, all().range_end, 0))
        .await
        .unwrap();
    assert!(next::<pb::WatchResponse>(&mut replies).await.created);
    let revoke = pb::LeaseRevokeRequest { id: 7 };
    let done: pb::LeaseRevokeResponse = f.call(Method::LeaseRevoke, revoke).await.unwrap();
    assert_eq!(done.header.unwrap().revision, 6);
    let events = next::<pb::WatchResponse>(&mut replies).await.events;
    let keys: Vec<_> = events
        .iter()
        .map(|e| e.kv.as_ref().unwrap().key.clone())
        .collect();
    assert_eq!(keys, [bytes("a"), bytes("c")]);
    assert!(
        events
            .iter()
            .all(|event| event.kv.as_ref().unwrap().mod_revision == 6)
    );
    assert_eq!(f.everything().await.count, 1);
}

#[tokio::test]
async fn time_to_live_and_list_tell_what_is_there() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    f.put_with(pb::PutRequest {
        lease: 7,
        ..put("a", "1")
    })
    .await;
    let ask = |id| pb::LeaseTimeToLiveRequest { id, keys: true };
    let told: pb::LeaseTimeToLiveResponse = f.call(Method::LeaseTimeToLive, ask(7)).await.unwrap();
    assert_eq!(
        (told.id, told.granted_ttl, told.keys),
        (7, 60, vec![bytes("a")])
    );
    assert!((58..60).contains(&told.ttl), "{}", told.ttl);
    let gone: pb::LeaseTimeToLiveResponse = f.call(Method::LeaseTimeToLive, ask(9)).await.unwrap();
    assert_eq!((gone.id, gone.ttl, gone.granted_ttl), (9, -1, 0));
    let list = pb::LeaseLeasesRequest {};
    let list: pb::LeaseLeasesResponse = f.call(Method::LeaseLeases, list).await.unwrap();
    assert_eq!(list.leases, [pb::LeaseStatus { id: 7 }]);
}

#[tokio::test]
async fn keepalives_are_answered_in_order_and_end_with_the_requests() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    let (requests, mut replies) = f.stream(Method::LeaseKeepAlive).await;
    for id in [7, 99, 7] {
        let request = pb::LeaseKeepAliveRequest { id };
        requests.send(request.encode_to_vec().into()).await.unwrap();
    }
    drop(requests);
    for (id, ttl) in [(7, 60), (99, 0), (7, 60)] {
        let reply: pb::LeaseKeepAliveResponse = next(&mut replies).await;
        assert_eq!((reply.id, reply.ttl), (id, ttl));
    }
    use futures_util::StreamExt;
    assert!(replies.messages.next().await.is_none());
}

#[tokio::test]
async fn a_lease_that_runs_out_takes_its_keys_and_no_others() {
    let f = Fixture::new();
    f.grant(7, 2).await;
    f.grant(8, 3600).await;
    let began = std::time::Instant::now();
    f.put_with(pb::PutRequest {
        lease: 7,
        ..put("short", "1")
    })
    .await;
    let last = f
        .put_with(pb::PutRequest {
            lease: 8,
            ..put("long", "1")
        })
        .await;
    let expiry = last.header.unwrap().revision + 1;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    f.home
        .node
        .published
        .reached
        .reached(expiry, deadline)
        .await
        .unwrap();
    assert!(
        began.elapsed() > Duration::from_millis(1500),
        "not before its time"
    );
    assert_eq!(
        (f.get("short").await, f.get("long").await),
        (None, Some("1".into()))
    );
    let revoke = pb::LeaseRevokeRequest { id: 7 };
    let gone = f
        .call::<pb::LeaseRevokeResponse>(Method::LeaseRevoke, revoke)
        .await;
    assert_eq!(gone.unwrap_err().code, Code::NotFound);
}
