//! Goal: waits end when, and only when, their mark is reached. Method: paused time, so that a
//! deadline costs nothing, and one threaded race.

use std::{sync::Arc, time::Duration};

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tokio::test(start_paused = true)]
async fn a_mark_already_reached_is_answered_at_once() {
    let level = Level::new(7);
    assert_eq!(level.reached(7, Instant::now()).await, Ok(7));
    assert_eq!(level.waits(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_level_never_falls() {
    let level = Level::new(7);
    level.set(3);
    assert_eq!(level.get(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_tells_how_far_it_came_and_leaves_no_wait_behind() {
    let level = Level::new(1);
    level.set(2);
    let refused = level.reached(9, soon()).await.unwrap_err();
    assert_eq!(
        refused,
        NotReached {
            wanted: 9,
            reached: 2
        }
    );
    assert_eq!(level.waits(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_rise_wakes_the_waits_it_satisfies_and_no_other() {
    let level = Arc::new(Level::new(0));
    let mut waits = Vec::new();
    for mark in 1..=1000 {
        let level = level.clone();
        waits.push(tokio::spawn(
            async move { level.reached(mark, soon()).await },
        ));
    }
    while level.waits() < 1000 {
        tokio::task::yield_now().await;
    }
    level.set(600);
    assert_eq!(level.waits(), 400);
    for wait in waits.drain(..600) {
        assert_eq!(wait.await.unwrap(), Ok(600));
    }
    level.set(i64::MAX);
    for wait in waits {
        assert!(wait.await.unwrap().is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_is_forgotten() {
    let level = Level::new(0);
    let dropped = tokio::time::timeout(Duration::from_millis(1), level.reached(1, soon())).await;
    assert!(dropped.is_err());
    assert_eq!(level.waits(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_is_lost_between_threads() {
    let level = Arc::new(Level::new(0));
    let mut waits = Vec::new();
    for mark in 1..=2000 {
        let level = level.clone();
        waits.push(tokio::spawn(
            async move { level.reached(mark, soon()).await },
        ));
    }
    let raise = level.clone();
    let raised = tokio::task::spawn_blocking(move || (1..=2000).for_each(|to| raise.set(to)));
    for wait in waits {
        assert!(wait.await.unwrap().is_ok());
    }
    raised.await.unwrap();
}
