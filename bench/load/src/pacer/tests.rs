//! Goal: the pace is kept in total, whoever is late, and it ends.

use super::*;

#[tokio::test]
async fn every_operation_falls_due_once_and_then_the_pace_ends() {
    let mut pacer = Pacer::start(2000.0, Duration::from_millis(100));
    let mut issued = 0;
    while let Some(due) = pacer.due_beyond(issued).await {
        assert!(due > issued);
        assert!(pacer.intended(due) <= Instant::now());
        issued = due;
    }
    assert_eq!(issued, 200);
}

#[test]
fn operations_are_meant_to_start_evenly() {
    let start = Instant::now();
    assert_eq!(
        intended(start, 1000.0, 500) - start,
        Duration::from_millis(500)
    );
}
