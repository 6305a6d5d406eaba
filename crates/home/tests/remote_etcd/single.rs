//! One member: what it answers comes through untouched; snapshot, watch, compaction, authentication.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};
use meridian_home::{Commits, Fate, FollowError, Home, Method, RangeChanges};
use meridian_keyspace::{Commit, KeyRange, Revision};
use tokio::time::timeout;

use super::etcd::{LIMIT, TestHome, binaries, put, start};

/// As `revision: key=value ...`, a deleted key with a minus.
fn show(commit: &Commit) -> String {
    let records = commit.records.iter().map(|record| {
        let fields = record.fields();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if record.is_tombstone() {
            return format!("-{}", text(fields.key));
        }
        format!("{}={}", text(fields.key), text(fields.value))
    });
    format!(
        "{}: {}",
        commit.revision,
        records.collect::<Vec<_>>().join(" ")
    )
}

async fn next(commits: &mut Commits, count: usize) -> Vec<Commit> {
    let mut all = Vec::new();
    while all.len() < count {
        let batch = timeout(LIMIT, commits.next()).await.unwrap().unwrap();
        all.extend(batch.unwrap());
    }
    all
}

/// Reads until everything up to `revision` has come; `revision:events` of each change.
async fn until(changes: &mut RangeChanges, revision: i64) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let step = timeout(LIMIT, changes.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        for change in &step.changes {
            let previous = change
                .events
                .iter()
                .filter(|e| e.previous.is_some())
                .count();
            all.push(format!(
                "{}:{} {previous} replaced",
                change.revision,
                change.events.len()
            ));
        }
        if step.complete_to >= Revision::new(revision) {
            return all;
        }
    }
}

#[tokio::test]
async fn calls_and_refusals_come_through_untouched() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        let revision = home.put("a", "1").await.unwrap();
        let facts = home.home.read_index().await.unwrap();
        assert_eq!(facts.revision, Revision::new(revision));
        assert!(facts.cluster_id != 0 && facts.member_id != 0 && facts.raft_term != 0);
        let error = home.put("", "1").await.unwrap_err();
        let expected = EtcdError::EMPTY_KEY;
        assert_eq!(
            (error.code, &*error.message),
            (expected.code(), expected.message())
        );
        assert_eq!(error.fate, Fate::Refused);
        home.stop().await;
    }
}

#[tokio::test]
async fn a_snapshot_is_the_whole_keyspace_at_one_revision() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        let mut expected = BTreeMap::new();
        for i in 0..400usize {
            // From empty to 60 KiB, so that pages of several sizes come out.
            let (key, value) = (format!("k{i:04}"), "v".repeat((i % 40) * 1536));
            home.put(&key, &value).await.unwrap();
            expected.insert(key, value);
        }
        let snapshot = home.home.snapshot().await.unwrap();
        home.put("later", "x").await.unwrap();
        assert_eq!(snapshot.facts.revision, Revision::new(401));
        assert_eq!(snapshot.keys_total, 400);
        let pages: Vec<_> = timeout(LIMIT, snapshot.pages.collect()).await.unwrap();
        assert!(pages.len() > 2);
        let mut found = Vec::new();
        for record in pages.into_iter().flat_map(Result::unwrap) {
            let fields = record.fields();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            found.push((text(fields.key), text(fields.value)));
        }
        assert!(found == expected.into_iter().collect::<Vec<_>>());
        home.stop().await;
    }
}

#[tokio::test]
async fn an_empty_keyspace_has_a_snapshot_of_nothing() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        let snapshot = home.home.snapshot().await.unwrap();
        assert_eq!(
            (snapshot.facts.revision, snapshot.keys_total),
            (Revision::new(1), 0)
        );
        let pages: Vec<_> = timeout(LIMIT, snapshot.pages.collect()).await.unwrap();
        assert!(pages.into_iter().flat_map(Result::unwrap).next().is_none());
        home.stop().await;
    }
}

#[tokio::test]
async fn commits_are_whole_and_contiguous_from_the_wanted_revision_on() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        home.put("a", "1").await.unwrap();
        home.put("b", "2").await.unwrap();
        let mut commits = home.home.follow(Revision::new(3)).await.unwrap();
        let op = |request| pb::RequestOp {
            request: Some(request),
        };
        let delete = pb::DeleteRangeRequest {
            key: Bytes::from("a"),
            ..Default::default()
        };
        let txn = pb::TxnRequest {
            success: vec![
                op(pb::request_op::Request::RequestPut(put("c", "3"))),
                op(pb::request_op::Request::RequestDeleteRange(delete)),
            ],
            ..Default::default()
        };
        let _: pb::TxnResponse = home.call(Method::KvTxn, &txn).await.unwrap();
        home.put("b", "4").await.unwrap();
        let shown: Vec<String> = next(&mut commits, 3).await.iter().map(show).collect();
        assert_eq!(shown, ["3: b=2", "4: c=3 -a", "5: b=4"]);
        home.stop().await;
    }
}

#[tokio::test]
async fn a_range_is_followed_with_what_it_replaced_and_how_far_it_is_complete() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1")] {
            home.put(key, value).await.unwrap();
        }
        let range = KeyRange::from_wire(b"a", b"b");
        let mut changes = home
            .home
            .follow_range(range, Revision::new(2))
            .await
            .unwrap();
        let shown = until(&mut changes, 5).await;
        assert_eq!(shown, ["2:1 0 replaced", "4:1 1 replaced"], "{binary:?}");
        let last = home.put("a", "3").await.unwrap();
        assert_eq!(until(&mut changes, last).await, ["6:1 1 replaced"]);
        home.stop().await;
    }
}

#[tokio::test]
async fn a_compacted_revision_cannot_be_followed() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        for i in 0..5 {
            home.put("a", &i.to_string()).await.unwrap();
        }
        let compact = pb::CompactionRequest {
            revision: 5,
            physical: true,
        };
        let _: pb::CompactionResponse = home.call(Method::KvCompact, &compact).await.unwrap();
        let error = match home.home.follow(Revision::new(2)).await {
            Ok(mut commits) => timeout(LIMIT, commits.next())
                .await
                .unwrap()
                .unwrap()
                .err()
                .unwrap(),
            Err(error) => error,
        };
        let FollowError::Compacted { compacted } = error else {
            panic!("{error}")
        };
        assert_eq!(compacted, Revision::new(5));
        let mut commits = home.home.follow(Revision::new(5)).await.unwrap();
        assert_eq!(show(&next(&mut commits, 1).await[0]), "5: a=3");
        home.stop().await;
    }
}

#[tokio::test]
async fn authentication_is_noticed_with_and_without_auth_status() {
    for binary in binaries() {
        let members = start(&binary, 1);
        let home = TestHome::of(&members).await;
        assert!(!home.home.auth_enabled().await.unwrap());
        let user = pb::AuthUserAddRequest {
            name: "root".into(),
            password: "secret".into(),
            ..Default::default()
        };
        let _: pb::AuthUserAddResponse = home.call(Method::AuthUserAdd, &user).await.unwrap();
        let grant = pb::AuthUserGrantRoleRequest {
            user: "root".into(),
            role: "root".into(),
        };
        let _: pb::AuthUserGrantRoleResponse =
            home.call(Method::AuthUserGrantRole, &grant).await.unwrap();
        let enable = pb::AuthEnableRequest {};
        let _: pb::AuthEnableResponse = home.call(Method::AuthEnable, &enable).await.unwrap();
        assert!(home.home.auth_enabled().await.unwrap(), "{binary:?}");
        assert!(
            home.home
                .read_index()
                .await
                .unwrap_err()
                .means_auth_required()
        );
        let error = home.home.snapshot().await.err().unwrap();
        assert!(error.means_auth_required(), "{error}");
        home.stop().await;
    }
}
