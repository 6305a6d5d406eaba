//! Goal: what was acknowledged is there after any end of the process, and nothing else is wrong.
//! Method: restarts, copies of the file of a running home, and a child process killed in the middle
//! of its writes; group commit is measured by the transactions it took.

use super::*;
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::atomic::Ordering,
};

/// In the environment of the child that writes until it is killed: its directory.
const CHILD_DIR: &str = "MERIDIAN_TEST_CHILD_DIR";

async fn some_history(f: &Fixture) {
    f.grant(7, 3600).await;
    for n in 0..40 {
        f.put(&format!("k{}", n % 7), &n.to_string()).await;
    }
    f.put_with(pb::PutRequest {
        lease: 7,
        ..put("leased", "1")
    })
    .await;
    f.delete("k3").await;
}

/// What a watch from `start` on sees of the history.
async fn history(f: &Fixture, start: i64) -> Vec<meridian_etcd_api::mvccpb::Event> {
    let (requests, mut replies) = f.stream(Method::Watch).await;
    let wanted = (f.revision() - start + 1) as usize;
    requests
        .send(super::watch::create(all().key, all().range_end, start))
        .await
        .unwrap();
    let mut events = Vec::new();
    while events.len() < wanted {
        events.extend(next::<pb::WatchResponse>(&mut replies).await.events);
    }
    events
}

/// A home on a copy of the file as it is now, as after a sudden death.
fn after_death(f: &Fixture) -> Fixture {
    let copy = tempfile::tempdir().unwrap();
    let file = crate::embedded::disk::FILE;
    std::fs::copy(f.dir.path().join(file), copy.path().join(file)).unwrap();
    Fixture::in_dir(copy)
}

#[tokio::test]
async fn everything_acknowledged_survives_a_sudden_death() {
    let f = Fixture::new();
    some_history(&f).await;
    let risen = after_death(&f);
    assert_eq!(risen.everything().await, f.everything().await);
    assert_eq!(history(&risen, 2).await, history(&f, 2).await);
    assert_eq!(risen.put("next", "1").await, f.revision() + 1);
}

#[tokio::test]
async fn identity_stays_and_the_term_grows_with_each_start() {
    let f = Fixture::new();
    let before = f.home.read_index().await.unwrap();
    let f = f.restart().await;
    let after = f.home.read_index().await.unwrap();
    assert_eq!(
        (after.cluster_id, after.member_id),
        (before.cluster_id, before.member_id)
    );
    assert_eq!(after.raft_term, before.raft_term + 1);
}

#[tokio::test]
async fn leases_and_their_keys_survive_with_their_full_ttl() {
    let f = Fixture::new();
    some_history(&f).await;
    let f = f.restart().await;
    let ask = pb::LeaseTimeToLiveRequest { id: 7, keys: true };
    let told: pb::LeaseTimeToLiveResponse = f.call(Method::LeaseTimeToLive, ask).await.unwrap();
    assert_eq!((told.granted_ttl, told.keys), (3600, vec![bytes("leased")]));
    let revoke = pb::LeaseRevokeRequest { id: 7 };
    f.call::<pb::LeaseRevokeResponse>(Method::LeaseRevoke, revoke)
        .await
        .unwrap();
    let f = f.restart().await;
    assert_eq!(f.get("leased").await, None);
    f.refused(Method::LeaseRevoke, revoke, EtcdError::LEASE_NOT_FOUND)
        .await;
}

#[tokio::test]
async fn compaction_keeps_state_and_recent_history_across_restarts() {
    let f = Fixture::new();
    some_history(&f).await;
    let compacted = f.revision() - 5;
    let before = f.everything().await;
    f.compact(compacted).await;
    // The change at the compacted revision is told without what it replaced.
    let recent = history(&f, compacted).await;
    let risen = after_death(&f);
    for f in [risen, f.restart().await] {
        assert_eq!(f.everything().await, before);
        assert_eq!(history(&f, compacted).await, recent);
        let past = pb::RangeRequest {
            revision: compacted - 1,
            ..all()
        };
        f.refused(Method::KvRange, past, EtcdError::COMPACTED).await;
        let again = pb::CompactionRequest {
            revision: compacted,
            physical: false,
        };
        f.refused(Method::KvCompact, again, EtcdError::COMPACTED)
            .await;
    }
}

#[tokio::test]
async fn a_compaction_that_death_interrupts_goes_on_after_the_start() {
    let f = Fixture::new();
    for n in 0..2000 {
        if n % 100 == 0 {
            let puts = (0..100).map(|m| put_op(&format!("k{m}"), &n.to_string()));
            let txn = pb::TxnRequest {
                success: puts.collect(),
                ..Default::default()
            };
            f.call::<pb::TxnResponse>(Method::KvTxn, txn).await.unwrap();
        }
        f.put("k", &n.to_string()).await;
    }
    let compact = pb::CompactionRequest {
        revision: f.revision() - 1,
        physical: false,
    };
    f.call::<pb::CompactionResponse>(Method::KvCompact, compact)
        .await
        .unwrap();
    let risen = after_death(&f);
    assert_eq!(risen.everything().await, f.everything().await);
    assert_eq!(risen.put("k", "new").await, f.put("k", "new").await);
    let risen = risen.restart().await;
    assert_eq!(risen.everything().await, f.everything().await);
}

#[tokio::test]
async fn concurrent_writes_share_transactions() {
    let f = Fixture::new();
    let before = f.home.node.published.commits.load(Ordering::Relaxed);
    let puts = (0..500).map(|n| f.put_owned(format!("k{n}")));
    let mut revisions = futures_util::future::join_all(puts).await;
    revisions.sort_unstable();
    assert!(
        revisions.into_iter().eq(2..502),
        "each has a revision of its own"
    );
    let commits = f.home.node.published.commits.load(Ordering::Relaxed) - before;
    assert!(commits <= 50, "{commits} transactions for 500 writes");
}

#[tokio::test]
async fn accepted_writes_are_done_before_the_stop() {
    let f = Fixture::new();
    let (home, tasks) = (Arc::clone(&f.home), f.tasks.clone());
    let message: Bytes = put("last", "1").encode_to_vec().into();
    let write = tokio::spawn(async move { home.unary(Call::new(Method::KvPut, message)).await });
    let deadline = tokio::time::Instant::now() + PATIENCE;
    f.home
        .node
        .published
        .reached
        .reached(2, deadline)
        .await
        .unwrap();
    assert!(tasks.stop(PATIENCE).await.is_clean());
    write.await.unwrap().unwrap();
    let late = f
        .call::<pb::PutResponse>(Method::KvPut, put("late", "1"))
        .await
        .unwrap_err();
    assert_eq!(
        (late.fate, late.message.as_str()),
        (Fate::NotSent, "etcdserver: server stopped")
    );
}

#[tokio::test]
async fn a_second_process_and_a_wrong_directory_are_one_clear_line() {
    let f = Fixture::new();
    let tasks = TaskGroup::root("second");
    let second = EmbeddedHome::open(config(&f.dir), &tasks)
        .err()
        .unwrap()
        .to_string();
    assert!(second.contains("is in use by another process"), "{second}");
    let file = f.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let wrong = EmbeddedConfig {
        dir: file.join("below"),
        ..config(&f.dir)
    };
    let wrong = EmbeddedHome::open(wrong, &tasks).err().unwrap().to_string();
    assert!(
        wrong.starts_with("cannot write in ") && !wrong.contains('\n'),
        "{wrong}"
    );
    let other = tempfile::tempdir().unwrap();
    std::fs::write(
        other.path().join(crate::embedded::disk::FILE),
        "not a store",
    )
    .unwrap();
    let damaged = EmbeddedHome::open(config(&other), &tasks)
        .err()
        .unwrap()
        .to_string();
    assert!(
        damaged.contains("cannot be read") && !damaged.contains('\n'),
        "{damaged}"
    );
}

#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "--nocapture",
            "embedded::tests::durability::child_that_writes",
        ])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // A line may begin with the test runner's own words.
        if let Some((_, revision)) = line.unwrap().split_once("acknowledged ") {
            acknowledged.push(revision.parse::<i64>().unwrap());
        }
        if acknowledged.len() == 300 {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let f = Fixture::in_dir(dir);
    let last = *acknowledged.last().unwrap();
    assert!(f.revision() >= last, "{} of {last}", f.revision());
    let mut events = history(&f, 2).await.into_iter();
    for revision in acknowledged {
        let kv = events.next().unwrap().kv.unwrap();
        assert_eq!(
            (kv.mod_revision, kv.value),
            (revision, bytes(&revision.to_string()))
        );
    }
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test]
#[ignore = "run by a_killed_process_loses_nothing_that_it_acknowledged"]
async fn child_that_writes() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let tasks = TaskGroup::root("child");
    let config = EmbeddedConfig {
        dir: dir.into(),
        name: "dev".into(),
        client_urls: Vec::new(),
    };
    let home = EmbeddedHome::open(config, &tasks).unwrap();
    for revision in 2i64.. {
        let message = put(&format!("k{}", revision % 10), &revision.to_string());
        let call = Call::new(Method::KvPut, message.encode_to_vec().into());
        let reply = pb::PutResponse::decode(home.unary(call).await.unwrap().message).unwrap();
        println!("acknowledged {}", reply.header.unwrap().revision);
    }
}

impl Fixture {
    async fn put_owned(&self, key: String) -> i64 {
        self.put(&key, "v").await
    }
}
