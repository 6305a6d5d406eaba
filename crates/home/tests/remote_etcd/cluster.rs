//! Three members: one that is paused or killed must not be felt for long, and never in a lie.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_etcd_api::etcdserverpb as pb;
use meridian_home::{Call, Fate, Home, Method};
use meridian_keyspace::Revision;
use prost::Message;
use tokio::time::timeout;

use super::etcd::{LIMIT, TestHome, binaries, put, start};

fn short_put(i: usize) -> Call {
    let message = put(&format!("k{i}"), "v").encode_to_vec();
    let mut call = Call::new(Method::KvPut, Bytes::from(message));
    call.deadline = Some(Instant::now() + Duration::from_secs(2));
    call
}

#[tokio::test]
async fn a_paused_member_fails_a_few_calls_and_then_none() {
    for binary in binaries() {
        let members = start(&binary, 3);
        let home = TestHome::of(&members).await;
        members[1].signal("-STOP");
        // If it led, the others elect; whatever fails meanwhile, the run of successes must come.
        let (mut failed, mut in_a_row, mut sent) = (0, 0, 0);
        while in_a_row < 300 {
            sent += 1;
            match home.home.unary(short_put(sent)).await {
                Ok(_) => in_a_row += 1,
                Err(error) => {
                    assert_ne!(error.fate, Fate::NotSent, "{error}");
                    (failed, in_a_row) = (failed + 1, 0);
                }
            }
            assert!(
                failed <= 6,
                "{failed} of {sent} failed: {:?}",
                home.home.describe()
            );
        }
        assert!(!home.home.describe().endpoints[1].healthy);
        members[1].signal("-CONT");
        home.stop().await;
    }
}

#[tokio::test]
async fn reads_do_not_notice_a_killed_member() {
    for binary in binaries() {
        let mut members = start(&binary, 3);
        let home = TestHome::of(&members).await;
        home.put("k", "v").await.unwrap();
        for i in 0..300 {
            if i == 100 {
                members[2].kill();
            }
            let range = pb::RangeRequest {
                key: Bytes::from("k"),
                ..Default::default()
            };
            let answer: pb::RangeResponse = home.call(Method::KvRange, &range).await.unwrap();
            assert_eq!(answer.kvs.len(), 1);
        }
        home.stop().await;
    }
}

#[tokio::test]
async fn a_follower_whose_member_dies_goes_on_from_its_position_at_another() {
    for binary in binaries() {
        let mut members = start(&binary, 3);
        let home = TestHome::of(&members).await;
        home.put("k", "0").await.unwrap();
        // Streams go to the first endpoint while it is well.
        let mut commits = home.home.follow(Revision::new(2)).await.unwrap();
        let first = timeout(LIMIT, commits.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(first.len(), 1);
        members[0].kill();
        let end = timeout(LIMIT, commits.next()).await.unwrap().unwrap();
        assert!(end.is_err());
        let deadline = Instant::now() + LIMIT;
        let last = loop {
            match home.put("k", "1").await {
                Ok(revision) => break revision,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        let mut commits = home.home.follow(Revision::new(3)).await.unwrap();
        let mut due = 3;
        while due <= last {
            for commit in timeout(LIMIT, commits.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap()
            {
                assert_eq!(commit.revision, Revision::new(due));
                due += 1;
            }
        }
        home.stop().await;
    }
}

#[tokio::test]
async fn without_a_quorum_a_read_index_fails_within_its_bound() {
    for binary in binaries() {
        let mut members = start(&binary, 3);
        let home = TestHome::of(&members).await;
        members[0].kill();
        members[1].kill();
        let begun = Instant::now();
        let error = home.home.read_index().await.unwrap_err();
        assert_eq!(error.code, tonic::Code::Unavailable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(4));
        home.stop().await;
    }
}
