//! Goal: accepting is held up by no stream. Method: streams of the raw connection under a link.

use tokio::time::timeout;

use super::*;
use crate::testing::{Pair, SOON};

#[tokio::test]
async fn a_stream_whose_first_byte_is_missing_holds_up_none_after_it() {
    let pair = Pair::new().await;
    // To the other end it is open as soon as a later one is.
    let (mut silent, _recv) = pair.link.inner.connection.open_bi().await.unwrap();
    let (mut send, _recv) = pair.link.open(Kind::Control).await.unwrap();
    send.chunks(&mut []).await.unwrap();
    let accepted = timeout(SOON, pair.accepted.accept()).await.unwrap();
    assert_eq!(accepted.unwrap().0, Kind::Control);
    silent.write_all(&[Kind::Log.byte()]).await.unwrap();
    let accepted = timeout(SOON, pair.accepted.accept()).await.unwrap();
    assert_eq!(accepted.unwrap().0, Kind::Log);
}

#[tokio::test]
async fn a_kind_of_a_later_release_is_given_up() {
    let pair = Pair::new().await;
    let (mut send, mut recv) = pair.link.inner.connection.open_bi().await.unwrap();
    send.write_all(&[99, 1, 2, 3]).await.unwrap();
    let accepting = tokio::spawn({
        let accepted = pair.accepted.clone();
        async move { accepted.accept().await.map(|(kind, _, _)| kind) }
    });
    let read = timeout(SOON, recv.read_chunk(10, true)).await.unwrap();
    assert!(
        matches!(read, Err(quinn::ReadError::Reset(UNKNOWN_KIND))),
        "{read:?}"
    );
    let (mut send, _recv) = pair.link.open(Kind::Status).await.unwrap();
    send.open_and_finish().await.unwrap();
    let kind = timeout(SOON, accepting).await.unwrap().unwrap();
    assert_eq!(kind, Some(Kind::Status));
}

#[test]
fn the_jitter_follows_how_the_round_trip_moves() {
    let mut jitter = Jitter::default();
    let begin = Instant::now();
    let at = |tick: u32| begin + JITTER_INTERVAL * tick;
    for tick in 0..50 {
        assert_eq!(
            jitter.sample(at(tick), Duration::from_millis(80)),
            Duration::ZERO
        );
    }
    for tick in 50..100 {
        jitter.sample(
            at(tick),
            Duration::from_millis(80 + u64::from(tick % 2) * 8),
        );
    }
    let moved = jitter.sample(at(99), Duration::from_millis(80));
    assert!((7..=8).contains(&moved.as_millis()), "{moved:?}");
}
