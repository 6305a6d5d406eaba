//! Goal: nothing outlives its group, and a failure is seen. Method: small trees under paused time,
//! so that a deadline costs nothing.

use super::*;

const DEADLINE: Duration = Duration::from_secs(3);

/// Ends when told to.
fn patient(group: &TaskGroup) -> impl Future<Output = ()> + Send + 'static {
    let token = group.token();
    async move { token.cancelled().await }
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_tasks_of_the_whole_subtree_end() {
    let root = TaskGroup::root("node");
    let doors = root.child("doors");
    let etcd = doors.child("etcd");
    doors.spawn("a", patient(&doors));
    etcd.spawn_permanent("b", patient(&etcd));
    root.spawn("c", patient(&root));
    assert_eq!((root.at_work(), doors.at_work(), etcd.at_work()), (3, 2, 1));

    assert!(doors.stop(DEADLINE).await.is_clean());
    assert_eq!((root.at_work(), etcd.at_work()), (1, 0));
    assert_eq!(root.failure(), None);
    assert!(!root.token().is_cancelled());
    assert!(root.stop(DEADLINE).await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_by_the_deadline_is_aborted_and_named() {
    let root = TaskGroup::root("node");
    let doors = root.child("doors");
    doors.spawn("deaf", std::future::pending());
    doors.spawn_permanent("deaf too", std::future::pending());
    let report = root.clone().stop(DEADLINE).await;
    assert_eq!(report.aborted, ["node/doors/deaf", "node/doors/deaf too"]);
    assert_eq!(report.stuck, Vec::<String>::new());
    assert_eq!((root.at_work(), root.failure()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_group_starts_nothing() {
    let root = TaskGroup::root("node");
    let doors = root.child("doors");
    doors.clone().stop(DEADLINE).await;
    doors.spawn("late", std::future::pending());
    doors.child("etcd").spawn("later", std::future::pending());
    assert_eq!(root.at_work(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permanent_task_that_ends_is_a_failure_of_the_tree() {
    let root = TaskGroup::root("node");
    let engine = root.child("engine");
    engine.spawn_permanent("apply", async {});
    let failure = root.failed().await;
    assert_eq!(
        failure.to_string(),
        "task node/engine/apply ended, which it must not before it is told to"
    );
}

#[tokio::test(start_paused = true)]
async fn a_permanent_task_may_end_once_it_is_told_to() {
    let root = TaskGroup::root("node");
    root.spawn_permanent("apply", patient(&root));
    assert!(root.clone().stop(DEADLINE).await.is_clean());
    assert_eq!(root.failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_and_cancels_the_root_when_nobody_handles_it() {
    let root = TaskGroup::root("node");
    root.child("doors")
        .spawn("connection", async { panic!("expected in this test") });
    root.token().cancelled().await;
    let failure = root.failure().unwrap();
    assert_eq!(
        (failure.task.as_str(), failure.kind),
        ("node/doors/connection", FailureKind::Panicked)
    );
}

#[tokio::test(start_paused = true)]
async fn a_handled_failure_leaves_the_stop_order_to_the_handler() {
    let root = TaskGroup::root("node");
    let engine = root.child("engine");
    engine.spawn("wait", patient(&engine));
    let (failure, ()) = tokio::join!(root.failed(), async {
        root.spawn("bad", async { panic!("expected in this test") });
    });
    assert_eq!(failure.kind, FailureKind::Panicked);
    assert!(!engine.token().is_cancelled());
}
