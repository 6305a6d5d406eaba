//! Goal: a revision that is missing or comes twice is told, never averaged away.

use super::*;

#[test]
fn what_was_not_seen_or_seen_twice_is_counted() {
    let timeline = Timeline::new(10, 100);
    let watcher = timeline.watcher();
    for revision in [11, 12, 13] {
        timeline.committed().saw(revision);
    }
    for revision in [11, 13, 13] {
        watcher.saw(revision);
    }
    let written = Written {
        from: 10,
        to: 13,
        seconds: 1.0,
    };
    let seen = timeline.lateness([&watcher], &written);
    assert_eq!((seen.missing, seen.again, watcher.highest()), (1, 1, 13));
}

#[test]
fn a_revision_outside_of_the_run_is_not_kept() {
    let timeline = Timeline::new(10, 2);
    let watcher = timeline.watcher();
    watcher.saw(9);
    watcher.saw(500);
    assert_eq!((watcher.at(9), watcher.at(500)), (None, None));
}
