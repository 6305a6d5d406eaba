//! The embedded home behind a delay: a call takes a round trip, a stream is not held to one message
//! per round trip.

use super::*;
use std::time::Instant;

const ROUND_TRIP: Duration = Duration::from_millis(60);

#[tokio::test]
async fn calls_take_a_round_trip_and_streams_overlap_theirs() {
    let f = Fixture::new();
    f.grant(7, 60).await;
    let far = crate::delayed::Delayed::new(Arc::clone(&f.home) as Arc<dyn Home>, ROUND_TRIP);
    let began = Instant::now();
    far.unary(Call::new(
        Method::KvPut,
        put("a", "1").encode_to_vec().into(),
    ))
    .await
    .unwrap();
    assert!(began.elapsed() >= ROUND_TRIP);

    let request: Bytes = pb::LeaseKeepAliveRequest { id: 7 }.encode_to_vec().into();
    let requests = Box::pin(futures_util::stream::iter(vec![request; 200]));
    let method = Method::LeaseKeepAlive;
    let call = StreamCall {
        method,
        metadata: Default::default(),
        requests,
    };
    let began = Instant::now();
    let mut replies = far.stream(call).await.unwrap();
    for _ in 0..200 {
        assert_eq!(
            next::<pb::LeaseKeepAliveResponse>(&mut replies).await.ttl,
            60
        );
    }
    assert!(
        began.elapsed() < ROUND_TRIP * 100,
        "200 renewals overlap: {:?}",
        began.elapsed()
    );

    let late = Call {
        deadline: Some(Instant::now() + ROUND_TRIP / 4),
        ..Call::new(Method::KvPut, put("a", "2").encode_to_vec().into())
    };
    assert_eq!(far.unary(late).await.unwrap_err().fate, Fate::Unknown);
}
