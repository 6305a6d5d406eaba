//! Locks and elections: turns by creation, withdrawal of those who go away, etcd's texts.

use super::*;
use meridian_etcd_api::{v3electionpb as epb, v3lockpb};
use tonic::Code;

fn lock(lease: i64) -> v3lockpb::LockRequest {
    v3lockpb::LockRequest {
        name: bytes("m"),
        lease,
    }
}

fn campaign(lease: i64, value: &str) -> epb::CampaignRequest {
    epb::CampaignRequest {
        name: bytes("e"),
        lease,
        value: bytes(value),
    }
}

/// Waits until `keys` keys are there.
async fn until_keys(f: &Fixture, keys: usize) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let published = &f.home.node.published;
    loop {
        let (revision, len) = published.keyspace.read(|k| (k.revision(), k.len()));
        if len == keys {
            return;
        }
        published
            .reached
            .reached(revision.next().get(), deadline)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_lock_is_held_by_the_first_and_passes_to_the_next() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    f.grant(-8, 60).await;
    let first: v3lockpb::LockResponse = f.call(Method::LockLock, lock(7)).await.unwrap();
    assert_eq!(first.key, bytes("m/7"));
    let again: v3lockpb::LockResponse = f.call(Method::LockLock, lock(7)).await.unwrap();
    assert_eq!(again.key, first.key, "the same lease holds it already");
    let second = f.call::<v3lockpb::LockResponse>(Method::LockLock, lock(-8));
    let unlock = async {
        until_keys(&f, 2).await;
        let unlock = v3lockpb::UnlockRequest {
            key: first.key.clone(),
        };
        f.call::<v3lockpb::UnlockResponse>(Method::LockUnlock, unlock)
            .await
            .unwrap()
    };
    let (second, unlocked) = tokio::join!(second, unlock);
    let second = second.unwrap();
    assert_eq!(second.key, bytes("m/-8"));
    assert!(second.header.unwrap().revision >= unlocked.header.unwrap().revision);
}

#[tokio::test]
async fn who_stops_waiting_leaves_the_queue() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    f.grant(8, 60).await;
    f.call::<v3lockpb::LockResponse>(Method::LockLock, lock(7))
        .await
        .unwrap();
    let message = lock(8).encode_to_vec().into();
    tokio::select! {
        _ = f.home.unary(Call::new(Method::LockLock, message)) => panic!("the lock is held"),
        () = until_keys(&f, 2) => {}
    }
    until_keys(&f, 1).await;
    assert_eq!(f.get("m/8").await, None);
    assert!(f.get("m/7").await.is_some());
}

#[tokio::test]
async fn the_end_of_a_lease_passes_the_lock_on() {
    let f = Fixture::new();
    f.grant(7, 2).await;
    f.call::<v3lockpb::LockResponse>(Method::LockLock, lock(7))
        .await
        .unwrap();
    let second: v3lockpb::LockResponse = f.call(Method::LockLock, lock(0)).await.unwrap();
    assert!(second.key.starts_with(b"m/"));
}

#[tokio::test]
async fn errors_come_with_etcds_text_and_no_code() {
    let f = Fixture::new();
    let check = |error: CallError, text: &str| {
        assert_eq!((error.code, error.message.as_str()), (Code::Unknown, text));
    };
    let lease_not_found = "etcdserver: requested lease not found";
    let dead = f
        .call::<v3lockpb::LockResponse>(Method::LockLock, lock(99))
        .await;
    check(dead.unwrap_err(), lease_not_found);
    let dead = campaign(99, "v");
    let dead = f
        .call::<epb::CampaignResponse>(Method::ElectionCampaign, dead)
        .await;
    check(dead.unwrap_err(), lease_not_found);
    let unlock = v3lockpb::UnlockRequest::default();
    let unlock = f
        .call::<v3lockpb::UnlockResponse>(Method::LockUnlock, unlock)
        .await;
    check(unlock.unwrap_err(), "etcdserver: key is not provided");
    let ask = epb::LeaderRequest { name: bytes("e") };
    let nobody = f
        .call::<epb::LeaderResponse>(Method::ElectionLeader, ask)
        .await;
    check(nobody.unwrap_err(), "election: no leader");
    let missing = "\"leader\" field must be provided";
    let proclaim = epb::ProclaimRequest::default();
    let proclaim = f
        .call::<epb::ProclaimResponse>(Method::ElectionProclaim, proclaim)
        .await;
    check(proclaim.unwrap_err(), missing);
    let resign = epb::ResignRequest::default();
    let resign = f
        .call::<epb::ResignResponse>(Method::ElectionResign, resign)
        .await;
    check(resign.unwrap_err(), missing);
}

#[tokio::test]
async fn an_election_runs_from_campaign_to_resignation() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    f.grant(8, 60).await;
    let (requests, mut observed) = f
        .stream_of(
            Method::ElectionObserve,
            epb::LeaderRequest { name: bytes("e") },
        )
        .await;
    drop(requests);
    let mut seen = async || {
        let response: epb::LeaderResponse = next(&mut observed).await;
        response.kv.unwrap().value
    };
    let won: epb::CampaignResponse = f
        .call(Method::ElectionCampaign, campaign(7, "one"))
        .await
        .unwrap();
    let leader = won.leader.unwrap();
    assert_eq!(
        (leader.key.clone(), leader.lease, leader.rev),
        (bytes("e/7"), 7, f.revision())
    );
    assert_eq!(seen().await, bytes("one"));

    let proclaim = epb::ProclaimRequest {
        leader: Some(leader.clone()),
        value: bytes("uno"),
    };
    f.call::<epb::ProclaimResponse>(Method::ElectionProclaim, proclaim.clone())
        .await
        .unwrap();
    assert_eq!(seen().await, bytes("uno"));
    // Campaigning again with another value proclaims it.
    f.call::<epb::CampaignResponse>(Method::ElectionCampaign, campaign(7, "ein"))
        .await
        .unwrap();
    assert_eq!(seen().await, bytes("ein"));

    let second = f.call::<epb::CampaignResponse>(Method::ElectionCampaign, campaign(8, "two"));
    let resign = async {
        until_keys(&f, 2).await;
        let resign = epb::ResignRequest {
            leader: Some(leader.clone()),
        };
        f.call::<epb::ResignResponse>(Method::ElectionResign, resign)
            .await
            .unwrap();
    };
    let (second, ()) = tokio::join!(second, resign);
    assert_eq!(second.unwrap().leader.unwrap().key, bytes("e/8"));
    assert_eq!(seen().await, bytes("two"));
    let ask = epb::LeaderRequest { name: bytes("e") };
    let told: epb::LeaderResponse = f.call(Method::ElectionLeader, ask).await.unwrap();
    assert_eq!(told.kv.unwrap().value, bytes("two"));
    let late = f
        .call::<epb::ProclaimResponse>(Method::ElectionProclaim, proclaim)
        .await;
    assert_eq!(late.unwrap_err().message, "election: not leader");
}
