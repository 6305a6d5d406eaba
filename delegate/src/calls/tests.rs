//! Goal: a call over the link is the call that was made, and its fate is told truly. Method: real
//! QUIC on loopback between a node's `LinkHome` and a hub that serves a scripted home, or the
//! embedded one.

mod embedded;
mod fate;
mod streams;
mod world;

use std::time::{Duration, Instant};

use bytes::Bytes;
use meridian_home::{Call, CallError, Fate, Home, Method};
use meridian_keyspace::Revision;
use tokio::time::timeout;
use tonic::{Code, metadata::MetadataValue};

use self::world::{Scripted, World, eventually, metadata};
use crate::testing::{SOON, noise};

#[tokio::test]
async fn bytes_and_metadata_pass_untouched_both_ways() {
    let world = World::new().await;
    let mut sent = metadata();
    sent.append("twice", MetadataValue::from_static("one"));
    sent.append("twice", MetadataValue::from_static("two"));
    for len in [0, 1, 600, 2 << 20] {
        let call = Call {
            metadata: sent.clone(),
            ..Call::new(Method::KvRange, Bytes::from(noise(1, len)))
        };
        let reply = world.home.unary(call.clone()).await.unwrap();
        assert_eq!(reply.message, call.message);
        assert_eq!(reply.metadata.as_ref(), sent.as_ref());
        let binary = reply.metadata.get_bin("trace-bin").unwrap();
        assert_eq!(binary.to_bytes().unwrap(), vec![0, 1, 254, 255]);
    }
}

#[tokio::test]
async fn an_error_keeps_its_code_text_and_trailing_metadata() {
    let world = World::new().await;
    let call = Call::new(Method::KvTxn, Bytes::new());
    let error = world.home.unary(call).await.unwrap_err();
    assert_eq!(error.code, Code::FailedPrecondition);
    assert_eq!(error.message, "etcdserver: user name already exists");
    assert_eq!(error.metadata.as_ref(), metadata().as_ref());
    assert_eq!(error.fate, Fate::Refused);
}

#[tokio::test]
async fn the_deadline_travels_with_the_call() {
    let world = World::new().await;
    let left = Duration::from_secs(9);
    let call = Call {
        deadline: Some(Instant::now() + left),
        ..Call::new(Method::KvRange, Bytes::new())
    };
    world.home.unary(call).await.unwrap();
    let told = world.scripted.calls.lock()[0].deadline.unwrap();
    let told = told.saturating_duration_since(Instant::now());
    assert!(
        told <= left && told > left - Duration::from_secs(5),
        "{told:?}"
    );
    let call = Call::new(Method::KvRange, Bytes::new());
    world.home.unary(call).await.unwrap();
    assert_eq!(world.scripted.calls.lock()[1].deadline, None);
}

#[tokio::test]
async fn read_indexes_that_wait_share_probes_that_leave_after_them() {
    let world = World::new().await;
    let scripted = world.scripted.clone();
    let ask = || {
        let home = world.home.clone();
        tokio::spawn(async move { home.read_index().await })
    };
    scripted.hold_probes();
    let first = ask();
    eventually(|| scripted.probes() == 1).await;
    let second = ask();
    eventually(|| scripted.probes() == 2).await;
    // Two are under way: whoever comes now waits for the third, which is one for all.
    let rest: Vec<_> = (0..50).map(|_| ask()).collect();
    eventually(|| world.shared.waiting() == 50).await;
    assert_eq!(scripted.probes(), 2);
    scripted
        .revision
        .store(7, std::sync::atomic::Ordering::SeqCst);
    scripted.release_probes();
    for asked in rest {
        assert_eq!(asked.await.unwrap().unwrap().revision, Revision::new(7));
    }
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert!(scripted.probes() <= 4, "{} probes", scripted.probes());
}

#[tokio::test]
async fn a_probe_outlives_the_one_who_asked_first() {
    let world = World::new().await;
    world.scripted.hold_probes();
    let home = world.home.clone();
    let first = tokio::spawn(async move { home.read_index().await });
    eventually(|| world.scripted.probes() == 1).await;
    first.abort();
    world.scripted.release_probes();
    timeout(SOON, world.home.read_index())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_region_without_a_delegate_asks_the_hub_itself() {
    let world = World::new().await;
    let facts = world.home.shared_read_index().await.unwrap();
    assert_eq!(facts.cluster_id, Scripted::CLUSTER);
}

#[tokio::test]
async fn members_share_the_probes_of_their_delegate() {
    let world = World::new().await;
    let (member, _delegate_side) = world.member().await;
    let before = world.scripted.probes();
    let begun = Instant::now();
    let asks = (0..40).map(|_| {
        let member = member.clone();
        tokio::spawn(async move { member.shared_read_index().await })
    });
    for asked in asks.collect::<Vec<_>>() {
        asked.await.unwrap().unwrap();
    }
    let ticks = begun.elapsed().as_millis() / super::REGION_PACE.as_millis() + 2;
    let probes = (world.scripted.probes() - before) as u128;
    assert!(probes <= ticks, "{probes} probes in {ticks} ticks");
}

#[tokio::test]
async fn small_questions_are_answered() {
    let world = World::new().await;
    assert!(world.home.auth_enabled().await.unwrap());
    eventually(|| world.home.describe().version.as_deref() == Some("3.9.9")).await;
    let description = world.home.describe();
    assert_eq!(description.kind, "etcd");
    assert_eq!(description.endpoints[0].url, "http://scripted");
}

#[tokio::test]
async fn a_home_that_wants_credentials_says_so_over_the_link() {
    let world = World::new().await;
    world.scripted.deny_probes();
    let error: CallError = world.home.read_index().await.unwrap_err();
    assert!(error.means_auth_required(), "{error}");
}
