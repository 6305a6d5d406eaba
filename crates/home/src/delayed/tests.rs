//! Goal: the delay is half each way, streams keep order and throughput. Method: tokio's paused
//! clock, so the times are exact.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::line::Line;

const DELAY: Duration = Duration::from_millis(40);

#[tokio::test(start_paused = true)]
async fn many_items_cross_in_one_delay_and_in_order() {
    let began = Instant::now();
    let line = Line::new(stream::iter(0..500), DELAY, 1024);
    assert!(line.collect::<Vec<_>>().await.into_iter().eq(0..500));
    // The timer's resolution is a millisecond.
    assert!(
        began.elapsed() >= DELAY && began.elapsed() < DELAY * 2,
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_line_is_bounded() {
    let began = Instant::now();
    let line = Line::new(stream::iter(0..10), DELAY, 2);
    assert_eq!(line.count().await, 10);
    assert!(
        began.elapsed() >= DELAY * 5,
        "two at a time: {:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn each_item_takes_its_own_delay() {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut line = Line::new(stream, DELAY, 16);
    let send = async {
        for n in 0..3 {
            sender.send(n).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop(sender);
    };
    let began = Instant::now();
    let receive = async {
        let mut arrivals = Vec::new();
        while let Some(n) = line.next().await {
            arrivals.push((n, began.elapsed().as_millis() / 10));
        }
        arrivals
    };
    let ((), arrivals) = tokio::join!(send, receive);
    assert_eq!(arrivals, [(0, 4), (1, 5), (2, 6)]);
}
