//! The engine over a scripted home: levels, faults, and what watchers are told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use meridian_keyspace::{KeyRange, LeaseId, Revision, WindowLimits};

use crate::{
    AdmitError, Admitted, Engine, Level, Mode,
    scripted::{ScriptedHome, engine_over, eventually, start_over},
    watch::{Cancellation, Delivery, Wanted, WatchDeliveries, WatchId, WatchSpec},
};

fn rev(n: i64) -> Revision {
    Revision::new(n)
}

fn prefix(start: i64) -> WatchSpec {
    WatchSpec {
        id: None,
        range: KeyRange::from_wire(b"a", b"b"),
        start: rev(start),
        puts: Wanted::Yes,
        deletes: Wanted::Yes,
        progress: Wanted::No,
    }
}

/// Collects events as `key@revision` until there are `count`.
async fn events(deliveries: &mut WatchDeliveries, count: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut out = Vec::new();
    while seen.len() < count {
        out.clear();
        let next = tokio::time::timeout(Duration::from_secs(10), deliveries.next(&mut out)).await;
        assert!(
            next.is_ok(),
            "only {} of {count} events: {seen:?}",
            seen.len()
        );
        for delivery in &out {
            let Delivery::Events { changes, pick, .. } = delivery else {
                continue;
            };
            for change in changes {
                for event in change.events.iter().filter(|event| pick.wants(event)) {
                    let key = String::from_utf8_lossy(event.record.key()).into_owned();
                    seen.push(format!("{key}@{}", change.revision));
                }
            }
        }
    }
    seen
}

async fn next_delivery(deliveries: &mut WatchDeliveries) -> Vec<Delivery> {
    let mut out = Vec::new();
    let next = tokio::time::timeout(Duration::from_secs(10), deliveries.next(&mut out)).await;
    assert!(next.is_ok(), "no delivery came");
    out
}

async fn read(engine: &Arc<Engine>, level: Level) -> Result<Revision, AdmitError> {
    match engine.admit(level, Revision::ZERO, None).await? {
        Admitted::Local(view) => Ok(view.facts.revision),
        Admitted::Forward => panic!("forwarded"),
    }
}

#[tokio::test]
async fn a_linearizable_read_sees_what_was_committed_before_it() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    for n in 0..50 {
        let written = home.commit(&[("a", &n.to_string())]);
        assert!(read(&engine, Level::Linearizable).await.unwrap() >= written);
    }
}

#[tokio::test]
async fn a_thousand_linearizable_reads_share_few_probes() {
    let home = ScriptedHome::slow(Duration::from_millis(40));
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let before = home.probes.load(Ordering::SeqCst);
    let reads = (0..1000).map(|_| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { read(&engine, Level::Linearizable).await.unwrap() })
    });
    for outcome in futures_util::future::join_all(reads).await {
        outcome.unwrap();
    }
    let probes = home.probes.load(Ordering::SeqCst) - before;
    assert!(probes <= 40, "{probes} probes");
}

#[tokio::test]
async fn with_the_home_cut_off_only_serializable_and_fresh_enough_reads_are_served() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let written = home.commit(&[("a", "1")]);
    eventually("the write has arrived", || engine.revision() == written).await;
    assert!(engine.staleness().is_some());
    home.set_up(false);
    assert_eq!(read(&engine, Level::Serializable).await.unwrap(), written);
    assert_eq!(
        read(&engine, Level::Session(written)).await.unwrap(),
        written
    );
    assert!(
        read(&engine, Level::Bounded(Duration::from_secs(60)))
            .await
            .is_ok()
    );
    assert!(matches!(
        read(&engine, Level::Linearizable).await,
        Err(AdmitError::Home(_))
    ));
    let stale = read(&engine, Level::Bounded(Duration::ZERO)).await;
    assert!(
        matches!(stale, Err(AdmitError::TooStale { .. })),
        "{stale:?}"
    );
    let soon = Some(Instant::now() + Duration::from_millis(20));
    let short = engine
        .admit(Level::Session(written.next()), Revision::ZERO, soon)
        .await;
    assert!(
        matches!(short, Err(AdmitError::NotReached { .. })),
        "{short:?}"
    );
    home.set_up(true);
    let written = home.commit(&[("a", "2")]);
    assert!(read(&engine, Level::Linearizable).await.unwrap() >= written);
}

#[tokio::test]
async fn a_connection_never_goes_back() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    home.set_up(false);
    assert!(engine.admit_now(&Level::Serializable, rev(2)).is_none());
    home.set_up(true);
    let floor = home.commit(&[("a", "1")]);
    let admitted = engine
        .admit(Level::Serializable, floor, None)
        .await
        .unwrap();
    let Admitted::Local(view) = admitted else {
        panic!("forwarded")
    };
    assert!(view.facts.revision >= floor);
}

#[tokio::test]
async fn nothing_is_shown_while_the_home_wants_authentication() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    home.auth.store(true, Ordering::SeqCst);
    eventually("forwarding", || engine.mode() == Mode::Forwarding).await;
    assert!(
        engine
            .admit_now(&Level::Serializable, Revision::ZERO)
            .is_none()
    );
    let admitted = engine
        .admit(Level::Serializable, Revision::ZERO, None)
        .await
        .unwrap();
    assert!(matches!(admitted, Admitted::Forward));
    home.auth.store(false, Ordering::SeqCst);
    eventually("local again", || engine.mode() == Mode::Local).await;
}

#[tokio::test]
async fn a_change_of_authentication_shuts_the_replica_at_once() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    engine.note_auth_changed();
    assert_eq!(engine.mode(), Mode::Forwarding);
    assert!(
        engine
            .admit_now(&Level::Serializable, Revision::ZERO)
            .is_none()
    );
}

#[tokio::test]
async fn a_watch_gets_each_matching_revision_once_from_its_start_on() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    for n in 0..10 {
        home.commit(&[("a", &n.to_string()), ("z", "1")]);
        home.commit(&[("z", "2")]);
    }
    eventually("applied", || engine.revision() == home.keyspace.revision()).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(8), Revision::ZERO).await.unwrap();
    for n in 0..10 {
        home.commit(&[("a", &n.to_string())]);
    }
    let seen = events(&mut deliveries, 17).await;
    let wanted: Vec<String> = (8..=31)
        .filter(|r| *r > 21 || r % 2 == 0)
        .map(|r| format!("a@{r}"))
        .collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_watch_from_the_future_stays_silent_until_then() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(5), Revision::ZERO).await.unwrap();
    for n in 0..6 {
        home.commit(&[("a", &n.to_string())]);
    }
    assert_eq!(events(&mut deliveries, 3).await, ["a@5", "a@6", "a@7"]);
}

#[tokio::test]
async fn a_watch_older_than_local_history_is_handed_over_without_gap_or_duplicate() {
    let home = ScriptedHome::new();
    for n in 0..300 {
        home.commit(&[("a", &n.to_string())]);
        home.commit(&[("z", "1")]);
    }
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(2), Revision::ZERO).await.unwrap();
    for n in 0..300 {
        home.commit(&[("a", &n.to_string())]);
    }
    let seen = events(&mut deliveries, 600).await;
    let wanted: Vec<String> = (2..=901)
        .filter(|r| *r > 601 || r % 2 == 0)
        .map(|r| format!("a@{r}"))
        .collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_watch_below_the_home_s_compaction_is_canceled_with_the_compacted_revision() {
    let home = ScriptedHome::new();
    for n in 0..10 {
        home.commit(&[("a", &n.to_string())]);
    }
    home.keyspace.compact(rev(6));
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(3), Revision::ZERO).await.unwrap();
    let mut all = next_delivery(&mut deliveries).await;
    while all.len() < 2 {
        all.extend(next_delivery(&mut deliveries).await);
    }
    assert!(
        matches!(all[0], Delivery::Created { id: WatchId(0), .. }),
        "{all:?}"
    );
    let Delivery::Canceled { reason, .. } = &all[1] else {
        panic!("{all:?}")
    };
    assert_eq!(*reason, Cancellation::Compacted(rev(6)));
}

#[tokio::test]
async fn a_stalled_stream_is_bounded_and_catches_up_from_history() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut slow) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    let (control, mut quick) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    let value = "v".repeat(64 << 10);
    for _ in 0..200 {
        home.commit(&[("a", &value)]);
    }
    let wanted: Vec<String> = (2..=201).map(|r| format!("a@{r}")).collect();
    assert_eq!(events(&mut quick, 200).await, wanted);
    assert!(slow.queued_bytes() <= 5 << 20, "{}", slow.queued_bytes());
    assert_eq!(events(&mut slow, 200).await, wanted);
}

#[tokio::test]
async fn progress_comes_only_after_every_event_up_to_it() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    let mut newest = Revision::ZERO;
    for n in 0..200 {
        home.commit(&[("a", &n.to_string())]);
        control.progress();
        for delivery in next_delivery(&mut deliveries).await {
            match delivery {
                Delivery::Events { changes, .. } => {
                    for change in changes {
                        assert_eq!(change.revision.get(), newest.get().max(1) + 1);
                        newest = change.revision;
                    }
                }
                Delivery::Progress { id: None, revision } => {
                    assert!(revision <= newest.max(rev(1)), "{revision} before {newest}");
                }
                Delivery::Created { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_replica_that_the_home_compacted_past_is_rebuilt_and_its_watches_learn_it() {
    let home = ScriptedHome::new();
    home.commit(&[("a", "1")]);
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    eventually("created", || engine.watches().counts().0 == 1).await;
    home.set_up(false);
    for n in 0..20 {
        home.commit(&[("a", &n.to_string())]);
    }
    home.keyspace.compact(rev(15));
    home.set_up(true);
    eventually("rebuilt", || engine.revision() == rev(22)).await;
    let mut all = Vec::new();
    while all.len() < 2 {
        all.extend(next_delivery(&mut deliveries).await);
    }
    let Delivery::Canceled { reason, .. } = &all[1] else {
        panic!("{all:?}")
    };
    assert_eq!(*reason, Cancellation::Compacted(rev(15)));
}

#[tokio::test]
async fn history_is_bounded_and_older_reads_say_so() {
    let home = ScriptedHome::new();
    let limits = WindowLimits {
        bytes: 1 << 20,
        revisions: 10,
    };
    let (engine, _tasks) = engine_over(&home, |config| config.history = limits).await;
    for n in 0..100 {
        home.commit(&[("a", &n.to_string())]);
    }
    eventually("applied", || engine.revision() == rev(101)).await;
    let from = engine.status().history_from;
    assert!((80..=101).contains(&from), "{from}");
}

#[tokio::test]
async fn a_gap_in_the_log_is_mended_by_reading_it_again() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    eventually("created", || engine.watches().counts().0 == 1).await;
    home.commit(&[("a", "1")]);
    assert_eq!(events(&mut deliveries, 1).await, ["a@2"]);
    home.skip_once.store(2, Ordering::SeqCst);
    for n in 0..5 {
        home.commit(&[("a", &n.to_string())]);
    }
    assert_eq!(
        events(&mut deliveries, 5).await,
        ["a@3", "a@4", "a@5", "a@6", "a@7"]
    );
}

#[tokio::test]
async fn a_log_that_falls_silent_is_opened_anew() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    eventually("followed", || home.logs.load(Ordering::SeqCst) == 1).await;
    home.logs_silent.store(1, Ordering::SeqCst);
    let written = home.commit(&[("a", "1")]);
    eventually("the write has arrived", || engine.revision() == written).await;
}

#[tokio::test]
async fn a_home_that_became_another_cluster_is_served_from_its_own_beginning() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    for n in 0..20 {
        home.commit(&[("a", &n.to_string())]);
    }
    eventually("applied", || engine.revision() == rev(21)).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    assert!(matches!(
        next_delivery(&mut deliveries).await[0],
        Delivery::Created { .. }
    ));
    home.replace();
    eventually("rebuilt", || {
        engine.mode() == Mode::Local && engine.facts().cluster_id == 8
    })
    .await;
    assert_eq!(engine.revision(), rev(1));
    let gone = next_delivery(&mut deliveries).await;
    let Delivery::Canceled { reason, .. } = &gone[0] else {
        panic!("{gone:?}")
    };
    assert_eq!(*reason, Cancellation::Compacted(rev(1)));
    for n in 0..30 {
        let written = home.commit(&[("a", &n.to_string())]);
        assert!(read(&engine, Level::Linearizable).await.unwrap() >= written);
    }
    assert_eq!(*engine.home_replaced.borrow(), 1);
}

#[tokio::test]
async fn a_replica_is_shown_only_once_its_cluster_is_known() {
    let home = ScriptedHome::slow(Duration::from_millis(50));
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    assert_eq!(engine.facts().cluster_id, 7);
}

#[tokio::test]
async fn an_answer_from_before_authentication_was_changed_opens_nothing() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let asked_in = engine.auth_generation.load(Ordering::SeqCst);
    engine.note_auth_changed();
    engine.auth_is(false, asked_in);
    assert_eq!(engine.mode(), Mode::Forwarding);
}

#[tokio::test]
async fn a_member_that_does_not_know_of_authentication_yet_opens_nothing() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    home.auth_hidden.store(true, Ordering::SeqCst);
    home.auth.store(true, Ordering::SeqCst);
    eventually("forwarding", || engine.mode() == Mode::Forwarding).await;
    let changes = engine.mode.subscribe();
    let asked = home.auth_asked.load(Ordering::SeqCst);
    eventually("asked again", || {
        home.auth_asked.load(Ordering::SeqCst) >= asked + 3
    })
    .await;
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn the_status_claims_no_leader_before_one_has_answered() {
    let home = ScriptedHome::new();
    home.set_up(false);
    let (engine, _tasks) = start_over(&home, |_| {});
    assert!(engine.has_leader());
    assert!(!engine.status().home_has_leader);
    home.set_up(true);
    eventually("confirmed", || engine.status().home_has_leader).await;
}

#[tokio::test]
async fn reads_that_shared_a_probe_leave_no_wish_for_another() {
    let home = ScriptedHome::new();
    let long = Duration::from_secs(3600);
    let (engine, _tasks) = engine_over(&home, |config| config.probe_interval = long).await;
    let before = home.probes.load(Ordering::SeqCst);
    for _ in 0..20 {
        let (one, other) = tokio::join!(
            read(&engine, Level::Linearizable),
            read(&engine, Level::Linearizable)
        );
        assert!(one.is_ok() && other.is_ok());
    }
    assert_eq!(home.probes.load(Ordering::SeqCst) - before, 20);
}

#[tokio::test]
async fn a_compaction_ahead_of_the_replica_holds_when_the_replica_gets_there() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    engine.note_compaction(rev(10));
    for n in 0..12 {
        home.commit(&[("a", &n.to_string())]);
    }
    eventually("applied", || engine.revision() == rev(13)).await;
    let replica = engine.replica.load_full().unwrap();
    assert_eq!(replica.read(|k| k.compacted()), rev(10));
}

#[tokio::test]
async fn a_watch_for_what_comes_next_begins_after_what_its_connection_has_seen() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    home.set_up(false);
    home.commit(&[("a", "1")]);
    let seen = home.commit(&[("a", "2")]);
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(0), seen).await.unwrap();
    home.set_up(true);
    home.commit(&[("a", "3")]);
    assert_eq!(events(&mut deliveries, 1).await, ["a@4"]);
}

#[tokio::test]
async fn an_old_watch_that_the_home_ends_is_taken_up_again_with_pauses() {
    let home = ScriptedHome::new();
    for n in 0..5 {
        home.commit(&[("a", &n.to_string())]);
    }
    home.old_watches_end.store(true, Ordering::SeqCst);
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(2), Revision::ZERO).await.unwrap();
    let began = Instant::now();
    let reading = tokio::spawn(async move { events(&mut deliveries, 5).await });
    eventually("taken up", || home.old_watches.load(Ordering::SeqCst) >= 3).await;
    // Half of 50 ms and half of 100 ms are the shortest pauses.
    assert!(began.elapsed() >= Duration::from_millis(75));
    home.old_watches_end.store(false, Ordering::SeqCst);
    assert_eq!(reading.await.unwrap()[4], "a@6");
}

#[tokio::test]
async fn an_old_watch_that_was_canceled_says_nothing_more_even_under_a_reused_id() {
    let home = ScriptedHome::new();
    for n in 0..300 {
        home.commit(&[("a", &n.to_string())]);
    }
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    let id = Some(WatchId(5));
    let old = WatchSpec { id, ..prefix(2) };
    control.create(old, Revision::ZERO).await.unwrap();
    // The created answer, and the hand-over to the home.
    next_delivery(&mut deliveries).await;
    control.cancel(WatchId(5)).await.unwrap();
    let new = WatchSpec { id, ..prefix(0) };
    control.create(new, Revision::ZERO).await.unwrap();
    let opened = || home.old_watches.load(Ordering::SeqCst) == 1;
    eventually("served by the home", opened).await;
    home.commit(&[("a", "new")]);
    assert_eq!(events(&mut deliveries, 1).await, ["a@302"]);
}

#[tokio::test]
async fn an_old_watch_with_large_values_waits_for_room_without_holding_the_thread() {
    let home = ScriptedHome::new();
    for size in [3 << 19, 3 << 20, 3 << 20, 3 << 20] {
        home.commit(&[("a", &"v".repeat(size))]);
    }
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(2), Revision::ZERO).await.unwrap();
    next_delivery(&mut deliveries).await;
    eventually("queued", || deliveries.queued_bytes() >= 3 << 19).await;
    assert_eq!(
        events(&mut deliveries, 4).await,
        ["a@2", "a@3", "a@4", "a@5"]
    );
}

#[tokio::test]
async fn old_watches_whose_clients_read_nothing_give_their_places_to_others() {
    let home = ScriptedHome::new();
    for _ in 0..3 {
        home.commit(&[("a", &"v".repeat(3 << 20))]);
    }
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let mut stalled = Vec::new();
    for _ in 0..64 {
        let (control, mut deliveries) = engine.watches().open();
        control.create(prefix(2), Revision::ZERO).await.unwrap();
        // The created answer, and the hand-over to the home.
        next_delivery(&mut deliveries).await;
        stalled.push((control, deliveries));
    }
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(2), Revision::ZERO).await.unwrap();
    let wanted = ["a@2", "a@3", "a@4"];
    assert_eq!(events(&mut deliveries, 3).await, wanted);
    for (_, mut deliveries) in stalled {
        assert_eq!(events(&mut deliveries, 3).await, wanted);
    }
}

#[tokio::test]
async fn progress_asked_of_an_old_watch_comes_when_it_is_here_without_another_event() {
    let home = ScriptedHome::new();
    for n in 0..5 {
        home.commit(&[("z", &n.to_string())]);
    }
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(2), Revision::ZERO).await.unwrap();
    control.progress();
    next_delivery(&mut deliveries).await;
    let progress = next_delivery(&mut deliveries).await;
    assert!(
        matches!(progress[0], Delivery::Progress { id: None, revision } if revision == rev(6)),
        "{progress:?}"
    );
}

#[tokio::test]
async fn a_busy_stream_gets_its_progress_behind_the_events() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let (control, mut deliveries) = engine.watches().open();
    control.create(prefix(0), Revision::ZERO).await.unwrap();
    next_delivery(&mut deliveries).await;
    let written = home.commit(&[("a", "1")]);
    eventually("applied", || engine.revision() == written).await;
    control.progress();
    let told = next_delivery(&mut deliveries).await;
    assert!(
        matches!(
            told[..],
            [
                Delivery::Events { .. },
                Delivery::Progress { id: None, revision }
            ] if revision == written
        ),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_is_not_sent() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let lease = LeaseId::new(5);
    let mut given_up = Box::pin(engine.keepalives().renew(lease));
    assert!(futures_util::poll!(&mut given_up).is_pending());
    drop(given_up);
    assert_eq!(engine.keepalives().renew(lease).await.unwrap().ttl, 5);
    assert_eq!(home.renewals.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn many_leases_are_renewed_over_few_streams_each_with_its_own_answer() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let renewals = (1..=500).map(|lease| {
        let engine = Arc::clone(&engine);
        async move {
            (
                lease,
                engine
                    .keepalives()
                    .renew(LeaseId::new(lease))
                    .await
                    .unwrap()
                    .ttl,
            )
        }
    });
    for (lease, ttl) in futures_util::future::join_all(renewals).await {
        assert_eq!(ttl, lease);
    }
    assert!(home.streams.load(Ordering::SeqCst) <= 4);
}

#[tokio::test]
async fn a_renewal_is_answered_by_the_home_or_not_at_all() {
    let home = ScriptedHome::new();
    let (engine, _tasks) = engine_over(&home, |_| {}).await;
    let lease = LeaseId::new(5);
    assert_eq!(engine.keepalives().renew(lease).await.unwrap().ttl, 5);
    home.set_up(false);
    assert!(engine.keepalives().renew(lease).await.is_err());
    home.set_up(true);
    assert_eq!(engine.keepalives().renew(lease).await.unwrap().ttl, 5);
}
