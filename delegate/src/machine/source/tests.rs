//! Goal: where a node takes the log from, for a story each. Method: events with given times into the machine,
//! commands compared as text.

use std::time::Duration;

use meridian_keyspace::Revision;

use super::{Command, Event, Refusal, Source, SourceChooser};
use crate::{
    NodeName,
    machine::{Assignment, TICK, Term},
};

/// The node `m`.
struct Check {
    chooser: SourceChooser,
    now: Duration,
}

fn node(name: &str) -> NodeName {
    NodeName {
        region: "eu".to_owned(),
        name: name.to_owned(),
    }
}

fn assignment(term: u64, delegate: &str) -> Assignment {
    Assignment {
        term: Term::new(term),
        delegate: Some((node(delegate), format!("{delegate}:1"))),
    }
}

fn of(delegate: &str) -> Source {
    Source::Delegate(node(delegate))
}

fn up(source: Source) -> Event {
    Event::StreamUp { source }
}

fn told(command: Command) -> String {
    match command {
        Command::ConnectDelegate(name, _) => format!("connect {}", name.name),
        Command::DropDelegate => "drop delegate".to_owned(),
        Command::Subscribe(source) => format!("subscribe {source}"),
        Command::Complain { term } => format!("complain {term}"),
        Command::DropHub => "drop hub".to_owned(),
    }
}

impl Check {
    fn new() -> Self {
        Self {
            chooser: SourceChooser::new(node("m"), Revision::ZERO),
            now: Duration::ZERO,
        }
    }

    fn on(&mut self, event: Event) -> Vec<String> {
        let commands = self.chooser.handle(self.now, event);
        commands.into_iter().map(told).collect()
    }

    /// Ticks for so long, with these events before each tick; when something is done, as `ms: what`.
    fn pass(&mut self, ms: u64, events: &[Event]) -> Vec<String> {
        let began = self.now;
        let mut done = Vec::new();
        while self.now < began + Duration::from_millis(ms) {
            self.now += TICK;
            for event in events.iter().chain([&Event::Tick]) {
                let at = (self.now - began).as_millis();
                done.extend(
                    self.on(event.clone())
                        .iter()
                        .map(|what| format!("{at}: {what}")),
                );
            }
        }
        done
    }
}

const NONE: [&str; 0] = [];

fn hub_beat(head: i64) -> Event {
    Event::HeardHub {
        head: Revision::new(head),
    }
}

fn beat(name: &str, position: i64, received: u64) -> Event {
    Event::HeardDelegate {
        delegate: node(name),
        position: Revision::new(position),
        received,
    }
}

/// `m` takes the log from `d`, under term 1, and is at 5.
fn member() -> Check {
    let mut check = Check::new();
    assert_eq!(check.on(Event::HubUp), NONE);
    assert_eq!(check.on(Event::Assigned(assignment(1, "d"))), ["connect d"]);
    assert_eq!(
        check.on(Event::DelegateUp(node("d"))),
        ["subscribe delegate eu/d"]
    );
    assert_eq!(check.on(up(of("d"))), NONE);
    let revision = Revision::new(5);
    assert_eq!(check.on(Event::Advanced { revision }), NONE);
    check
}

#[test]
fn the_delegate_itself_asks_the_hub_and_serves() {
    let mut check = Check::new();
    check.on(Event::HubUp);
    assert_eq!(check.chooser.admits(Term::new(1)), Err(Refusal::NotHeld));
    assert_eq!(
        check.on(Event::Assigned(assignment(2, "m"))),
        ["subscribe hub"]
    );
    assert_eq!(check.on(up(Source::Hub)), NONE);
    assert_eq!(check.chooser.admits(Term::new(2)), Ok(()));
    assert_eq!(check.chooser.admits(Term::new(3)), Err(Refusal::NotHeld));
    assert_eq!(check.pass(3000, &[hub_beat(0)]), NONE);
}

#[test]
fn without_an_assignment_the_hub_is_asked_after_a_while() {
    let mut check = Check::new();
    check.on(Event::HubUp);
    assert_eq!(check.pass(1000, &[hub_beat(0)]), ["600: subscribe hub"]);
}

#[test]
fn an_assignment_without_delegate_means_the_hub() {
    let mut check = Check::new();
    check.on(Event::HubUp);
    let alone = Assignment {
        term: Term::new(1),
        delegate: None,
    };
    assert_eq!(check.on(Event::Assigned(alone)), ["subscribe hub"]);
}

#[test]
fn a_silent_delegate_is_left_for_the_hub_and_tried_again_later_and_later() {
    let mut check = member();
    let done = check.pass(700, &[hub_beat(5)]);
    assert_eq!(
        done,
        [
            "600: complain 1",
            "600: drop delegate",
            "600: subscribe hub"
        ]
    );
    assert_eq!(check.on(up(Source::Hub)), NONE);
    let done = check.pass(5000, &[hub_beat(5)]);
    let tried = [
        "900: connect d",
        "1500: complain 1",
        "1500: drop delegate",
        "3500: connect d",
        "4100: complain 1",
        "4100: drop delegate",
    ];
    assert_eq!(done, tried);
}

#[test]
fn a_delegate_that_speaks_but_stands_still_is_left_for_the_hub() {
    let mut check = member();
    let done = check.pass(1000, &[hub_beat(9), beat("d", 9, 0)]);
    assert_eq!(done, ["850: complain 1", "850: subscribe hub"]);
}

#[test]
fn a_delegate_busy_with_one_huge_revision_is_awaited() {
    let mut check = member();
    for received in 1..60 {
        assert_eq!(check.pass(50, &[hub_beat(9), beat("d", 5, received)]), NONE);
    }
    // Beyond us and nothing comes: no excuse.
    assert_eq!(check.pass(600, &[hub_beat(9), beat("d", 6, 99)]).len(), 2);
}

#[test]
fn a_slow_delegate_is_complained_of_and_kept() {
    let mut check = member();
    let mut done = Vec::new();
    for revision in 6..30 {
        let revision = Revision::new(revision);
        done.extend(check.on(Event::Advanced { revision }));
        done.extend(check.pass(100, &[hub_beat(900), beat("d", 6, 0)]));
    }
    assert_eq!(done, ["50: complain 1"]);
    assert_eq!(*check.chooser.source(), of("d"));
}

#[test]
fn an_idle_log_is_no_reason_for_anything() {
    let mut check = member();
    assert_eq!(check.pass(10_000, &[hub_beat(5), beat("d", 5, 0)]), NONE);
}

#[test]
fn a_new_delegate_is_connected_before_the_former_is_left() {
    let mut check = member();
    assert_eq!(check.on(Event::Assigned(assignment(2, "e"))), ["connect e"]);
    assert_eq!(*check.chooser.source(), of("d"));
    assert_eq!(
        check.on(Event::DelegateUp(node("e"))),
        ["subscribe delegate eu/e"]
    );
    // It has not heard of its office yet.
    let refused = Event::Refused {
        source: of("e"),
        why: Refusal::NotHeld,
    };
    assert_eq!(check.on(refused), NONE);
    let done = check.pass(200, &[hub_beat(5), beat("d", 5, 0)]);
    assert_eq!(done, ["100: subscribe delegate eu/e"]);
    assert_eq!(check.on(up(of("e"))), NONE);
    assert_eq!(check.on(Event::DelegateDown(node("d"))), NONE);
}

#[test]
fn an_older_assignment_of_the_same_hub_is_ignored_but_another_hub_counts_anew() {
    let mut check = member();
    assert_eq!(check.on(Event::Assigned(assignment(0, "e"))), NONE);
    assert_eq!(check.on(Event::HubDown), NONE);
    assert_eq!(check.on(Event::HubUp), NONE);
    assert_eq!(check.on(Event::Assigned(assignment(0, "e"))), ["connect e"]);
}

#[test]
fn a_member_named_delegate_asks_the_hub_and_then_drops_the_link() {
    let mut check = member();
    assert_eq!(
        check.on(Event::Assigned(assignment(2, "m"))),
        ["subscribe hub"]
    );
    assert_eq!(*check.chooser.source(), of("d"));
    assert_eq!(check.on(up(Source::Hub)), ["drop delegate"]);
}

#[test]
fn without_a_hub_a_living_delegate_is_kept() {
    let mut check = member();
    let done = check.pass(3000, &[beat("d", 5, 0)]);
    assert_eq!(done, ["800: drop hub"]);
    assert_eq!(*check.chooser.source(), of("d"));
    assert_eq!(check.on(Event::HubDown), NONE);
}

#[test]
fn a_delegate_that_its_hub_has_lost_hears_from_others_who_took_over() {
    let mut check = Check::new();
    check.on(Event::HubUp);
    check.on(Event::Assigned(assignment(1, "m")));
    check.on(up(Source::Hub));
    assert_eq!(check.on(Event::Told(assignment(2, "e"))), NONE);
    assert!(check.chooser.serving().is_some());
    let done = check.pass(1000, &[]);
    assert_eq!(done, ["800: drop hub", "800: connect e"]);
    assert!(check.chooser.serving().is_none());
}

#[test]
fn a_process_that_stood_still_judges_nobody_by_it() {
    let mut check = member();
    check.pass(1000, &[hub_beat(5), beat("d", 5, 0)]);
    check.now += Duration::from_secs(30);
    assert_eq!(check.on(Event::Tick), NONE);
    assert_eq!(check.pass(1000, &[hub_beat(5), beat("d", 5, 0)]), NONE);
}

#[test]
fn a_stream_of_the_hub_that_stands_still_is_asked_for_again_then_the_hub_is_dropped() {
    let mut check = Check::new();
    check.on(Event::HubUp);
    check.on(Event::Assigned(assignment(1, "m")));
    check.on(up(Source::Hub));
    let done = check.pass(5200, &[hub_beat(9)]);
    assert_eq!(done, ["5000: subscribe hub"]);
    let done = check.pass(2500, &[hub_beat(9)]);
    assert_eq!(done, ["800: subscribe hub", "1800: drop hub"]);
}

#[test]
fn a_broken_link_is_made_again_before_the_hub_is_asked() {
    let mut check = member();
    assert_eq!(check.on(Event::DelegateDown(node("d"))), NONE);
    assert_eq!(check.pass(200, &[hub_beat(5)]), ["100: connect d"]);
    let done = check.pass(500, &[hub_beat(5)]);
    assert_eq!(
        done,
        [
            "400: subscribe hub",
            "400: complain 1",
            "400: drop delegate"
        ]
    );
}
