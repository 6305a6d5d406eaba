//! Maintenance, Cluster and Auth: what one unreplicated node can say, in etcd's words.

use super::*;
use futures_util::StreamExt;
use tonic::Code;

async fn hash_kv(f: &Fixture, revision: i64) -> (u32, i64, i64) {
    let request = pb::HashKvRequest { revision };
    let told: pb::HashKvResponse = f.call(Method::MaintenanceHashKv, request).await.unwrap();
    (told.hash, told.compact_revision, told.hash_revision)
}

/// The numbers are what etcd 3.4.23 answered for the same calls.
#[tokio::test]
async fn the_hash_of_a_history_is_etcds() {
    let f = Fixture::new();
    assert_eq!(hash_kv(&f, 0).await, (1_084_519_789, -1, 1));
    f.put("a", "1").await;
    f.put("b", "2").await;
    let delete = pb::DeleteRangeRequest {
        key: bytes("a"),
        range_end: bytes("c"),
        prev_kv: false,
    };
    f.call::<pb::DeleteRangeResponse>(Method::KvDeleteRange, delete)
        .await
        .unwrap();
    f.put("a", "3").await;
    f.grant(7, 3600).await;
    f.put_with(pb::PutRequest {
        lease: 7,
        ..put("e", "5")
    })
    .await;
    assert_eq!(hash_kv(&f, 0).await, (2_890_168_944, -1, 6));
    assert_eq!(hash_kv(&f, 5).await, (144_165_718, -1, 5));
    f.compact(5).await;
    assert_eq!(hash_kv(&f, 6).await, (1_317_732_143, 5, 6));
    let everything = pb::DeleteRangeRequest {
        key: all().key,
        range_end: all().range_end,
        prev_kv: false,
    };
    f.call::<pb::DeleteRangeResponse>(Method::KvDeleteRange, everything)
        .await
        .unwrap();
    assert_eq!(hash_kv(&f, 0).await, (3_239_032_276, 5, 7));
    f.put("z", "1").await;
    assert_eq!(hash_kv(&f, 0).await, (1_991_429_976, 5, 8));
    let f = f.restart().await;
    assert_eq!(hash_kv(&f, 0).await, (1_991_429_976, 5, 8));
    let ask = |revision| pb::HashKvRequest { revision };
    f.refused(Method::MaintenanceHashKv, ask(4), EtcdError::COMPACTED)
        .await;
    f.refused(
        Method::MaintenanceHashKv,
        ask(9),
        EtcdError::FUTURE_REVISION,
    )
    .await;
}

#[tokio::test]
async fn status_tells_sizes_and_positions() {
    let f = Fixture::new();
    let status = || f.call::<pb::StatusResponse>(Method::MaintenanceStatus, pb::StatusRequest {});
    let before = status().await.unwrap();
    for _ in 0..20 {
        f.put("a", &"v".repeat(100_000)).await;
    }
    let after = status().await.unwrap();
    assert_eq!(after.leader, after.header.unwrap().member_id);
    assert_eq!(after.raft_index, before.raft_index + 20);
    assert_eq!(
        (after.raft_term, after.is_learner),
        (after.header.unwrap().raft_term, false)
    );
    assert!(
        after.db_size >= after.db_size_in_use && after.db_size_in_use > 2_000_000,
        "{after:?}"
    );
    assert!(after.errors.is_empty() && after.version.starts_with("3.6."));

    f.compact(f.revision()).await;
    let compacted = status().await.unwrap();
    assert!(
        compacted.db_size_in_use < 300_000,
        "{}",
        compacted.db_size_in_use
    );
    let request = pb::DefragmentRequest {};
    f.call::<pb::DefragmentResponse>(Method::MaintenanceDefragment, request)
        .await
        .unwrap();
    let small = status().await.unwrap();
    assert!(
        small.db_size < after.db_size / 2,
        "{} of {}",
        small.db_size,
        after.db_size
    );
    assert!(f.get("a").await.is_some());
}

#[tokio::test]
async fn the_whole_hash_follows_the_store() {
    let f = Fixture::new();
    let hash = || f.call::<pb::HashResponse>(Method::MaintenanceHash, pb::HashRequest {});
    let before = hash().await.unwrap().hash;
    assert_eq!(before, hash().await.unwrap().hash);
    f.put("a", "1").await;
    let after = hash().await.unwrap();
    assert_ne!(after.hash, before);
    assert_eq!(after.header.unwrap().revision, 2);
}

#[tokio::test]
async fn the_cluster_is_one_member_whose_headers_have_no_revision() {
    let f = Fixture::new();
    let request = pb::MemberListRequest { linearizable: true };
    let list: pb::MemberListResponse = f.call(Method::ClusterMemberList, request).await.unwrap();
    let header = list.header.unwrap();
    assert_eq!((header.revision, header.member_id), (0, list.members[0].id));
    assert_eq!(list.members.len(), 1);
    assert_eq!(list.members[0].name, "dev");
    assert_eq!(list.members[0].client_ur_ls, ["http://127.0.0.1:2379"]);
    let remove = pb::MemberRemoveRequest { id: 5 };
    f.refused(
        Method::ClusterMemberRemove,
        remove,
        EtcdError::MEMBER_NOT_FOUND,
    )
    .await;
    let promote = pb::MemberPromoteRequest {
        id: header.member_id,
    };
    f.refused(
        Method::ClusterMemberPromote,
        promote,
        EtcdError::MEMBER_NOT_LEARNER,
    )
    .await;
    let itself = pb::MoveLeaderRequest {
        target_id: header.member_id,
    };
    f.call::<pb::MoveLeaderResponse>(Method::MaintenanceMoveLeader, itself)
        .await
        .unwrap();
    let nobody = pb::MoveLeaderRequest { target_id: 5 };
    f.refused(
        Method::MaintenanceMoveLeader,
        nobody,
        EtcdError::BAD_LEADER_TRANSFEREE,
    )
    .await;
}

#[tokio::test]
async fn authentication_is_off_and_stays_off() {
    let f = Fixture::new();
    let status = pb::AuthStatusRequest {};
    let status: pb::AuthStatusResponse = f.call(Method::AuthStatus, status).await.unwrap();
    assert!(!status.enabled && status.header.unwrap().revision == 1);
    let off = pb::AuthDisableRequest {};
    f.call::<pb::AuthDisableResponse>(Method::AuthDisable, off)
        .await
        .unwrap();
    let login = pb::AuthenticateRequest {
        name: "a".into(),
        password: "b".into(),
    };
    f.refused(Method::AuthAuthenticate, login, EtcdError::AUTH_NOT_ENABLED)
        .await;
    let on = f
        .call::<pb::AuthEnableResponse>(Method::AuthEnable, pb::AuthEnableRequest {})
        .await;
    let on = on.unwrap_err();
    assert_eq!(on.code, Code::Unimplemented);
    assert!(on.message.contains("use an etcd cluster"), "{on}");
    assert!(!f.home.auth_enabled().await.unwrap());
}

#[tokio::test]
async fn what_one_node_cannot_do_says_what_to_use() {
    let f = Fixture::new();
    let snapshot = f.home.stream(StreamCall {
        method: Method::MaintenanceSnapshot,
        metadata: Default::default(),
        requests: futures_util::stream::iter([Bytes::new()]).boxed(),
    });
    let snapshot = snapshot.await.err().unwrap();
    let member =
        f.call::<pb::MemberAddResponse>(Method::ClusterMemberAdd, pb::MemberAddRequest::default());
    let alarm = pb::AlarmRequest {
        action: 1,
        member_id: 1,
        alarm: 1,
    };
    let alarm = f.call::<pb::AlarmResponse>(Method::MaintenanceAlarm, alarm);
    let downgrade = pb::DowngradeRequest {
        action: 1,
        version: "3.5".into(),
    };
    let downgrade = f.call::<pb::DowngradeResponse>(Method::MaintenanceDowngrade, downgrade);
    let refusals = [
        snapshot,
        member.await.unwrap_err(),
        alarm.await.unwrap_err(),
        downgrade.await.unwrap_err(),
    ];
    for refused in refusals {
        assert_eq!(refused.code, Code::Unimplemented);
        assert!(
            refused.message.contains("one unreplicated node"),
            "{refused}"
        );
    }
    let described = f.home.describe();
    assert_eq!((described.kind, described.replicated), ("embedded", false));
}

#[tokio::test]
async fn a_snapshot_and_what_follows_it_are_the_keyspace() {
    let f = Fixture::new();
    for n in 0..1500 {
        if n % 50 == 0 {
            let puts = (0..50).map(|m| put_op(&format!("k{n:04}{m:02}"), "v"));
            let txn = pb::TxnRequest {
                success: puts.collect(),
                ..Default::default()
            };
            f.call::<pb::TxnResponse>(Method::KvTxn, txn).await.unwrap();
        }
    }
    let snapshot = f.home.snapshot().await.unwrap();
    let from = snapshot.facts.revision;
    f.put("after", "1").await;
    f.delete("after").await;
    let pages: Vec<_> = snapshot.pages.map(Result::unwrap).collect().await;
    assert!(pages.len() > 1);
    let keys: Vec<&[u8]> = pages.iter().flatten().map(|record| record.key()).collect();
    assert_eq!(keys.len() as u64, snapshot.keys_total);
    assert!(keys.is_sorted() && keys.len() == 1500);

    let mut commits = f.home.follow(from.next()).await.unwrap();
    let mut revisions = Vec::new();
    while revisions.len() < 2 {
        let batch = commits.next().await.unwrap().unwrap();
        revisions.extend(batch.into_iter().map(|commit| commit.revision.get()));
    }
    assert_eq!(revisions, [from.get() + 1, from.get() + 2]);
    f.put("live", "1").await;
    let live = tokio::time::timeout(PATIENCE, commits.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(live[0].revision.get(), f.revision());

    let range = meridian_keyspace::KeyRange::from_wire(b"after", b"");
    let mut changes = f.home.follow_range(range, from.next()).await.unwrap();
    let mut seen = 0;
    let complete = loop {
        let progress = changes.next().await.unwrap().unwrap();
        seen += progress.changes.len();
        if progress.complete_to.get() == f.revision() {
            break progress.complete_to;
        }
    };
    assert_eq!((seen, complete.get()), (2, f.revision()));
    f.compact(f.revision()).await;
    let gone = f.home.follow(from).await.err().unwrap();
    assert!(matches!(gone, crate::FollowError::Compacted { compacted } if compacted == complete));
}
