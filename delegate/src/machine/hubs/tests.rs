//! Goal: which hub is dialled, used and left. Method: events with given times into the machine, commands compared.

use std::time::Duration;

use super::{Command, Event, HubChooser, HubIndex};
use crate::machine::TICK;

struct Check {
    chooser: HubChooser,
    now: Duration,
}

fn told(command: Command) -> String {
    match command {
        Command::Dial(hub) => format!("dial {}", hub.0),
        Command::Use(hub) => format!("use {}", hub.0),
        Command::Close(hub) => format!("close {}", hub.0),
    }
}

const NONE: [&str; 0] = [];

impl Check {
    fn new(hubs: usize) -> Self {
        Self {
            chooser: HubChooser::new(hubs),
            now: Duration::ZERO,
        }
    }

    fn on(&mut self, event: Event) -> Vec<String> {
        let commands = self.chooser.handle(self.now, event);
        commands.into_iter().map(told).collect()
    }

    fn up(&mut self, hub: usize) -> Vec<String> {
        self.on(Event::Up(HubIndex(hub)))
    }

    fn down(&mut self, hub: usize) -> Vec<String> {
        self.on(Event::Down(HubIndex(hub)))
    }

    fn pass(&mut self, ms: u64) -> Vec<String> {
        let began = self.now;
        let mut done = Vec::new();
        while self.now < began + Duration::from_millis(ms) {
            self.now += TICK;
            let at = (self.now - began).as_millis();
            done.extend(
                self.on(Event::Tick)
                    .iter()
                    .map(|what| format!("{at}: {what}")),
            );
        }
        done
    }
}

#[test]
fn the_first_hub_that_answers_is_used_and_later_ones_are_not_dialled() {
    let mut check = Check::new(3);
    assert_eq!(check.on(Event::Tick), ["dial 0"]);
    assert_eq!(check.up(0), ["use 0"]);
    assert_eq!(check.pass(60_000), NONE);
}

#[test]
fn a_hub_that_does_not_answer_is_dialled_again_beside_the_next() {
    let mut check = Check::new(2);
    assert_eq!(check.on(Event::Tick), ["dial 0"]);
    assert_eq!(
        check.pass(900),
        ["250: dial 1", "800: close 0", "800: dial 0"]
    );
    assert_eq!(check.up(1), ["use 1"]);
    // A better one that was under way may still win.
    assert_eq!(check.up(0), ["use 0", "close 1"]);
    assert_eq!(check.chooser.in_use(), Some(HubIndex(0)));
}

#[test]
fn a_hub_that_failed_has_the_last_turn() {
    let mut check = Check::new(2);
    check.on(Event::Tick);
    check.up(0);
    assert_eq!(check.down(0), ["dial 1"]);
    assert_eq!(check.pass(300), ["250: dial 0"]);
    assert_eq!(check.up(1), ["use 1"]);
}

#[test]
fn a_refused_dial_is_repeated_after_a_pause() {
    let mut check = Check::new(1);
    check.on(Event::Tick);
    assert_eq!(check.down(0), NONE);
    assert_eq!(check.pass(300), ["200: dial 0"]);
}

#[test]
fn an_earlier_hub_is_returned_to_when_it_answers_again() {
    let mut check = Check::new(2);
    check.on(Event::Tick);
    check.down(0);
    assert_eq!(check.pass(250), ["200: dial 0", "250: dial 1"]);
    check.up(1);
    check.down(0);
    // Twenty seconds now, had hub 1 not been new to it: ten.
    assert_eq!(check.pass(10_000), ["10000: dial 0"]);
    assert_eq!(check.up(0), ["use 0", "close 1"]);
}

#[test]
fn a_hub_that_flaps_is_returned_to_later_each_time() {
    let mut check = Check::new(2);
    check.on(Event::Tick);
    check.up(0);
    for seconds in [20, 40, 80, 160, 160] {
        assert_eq!(check.down(0), ["dial 1"]);
        check.up(1);
        let done = check.pass(seconds * 1000);
        assert_eq!(done, [format!("{}: dial 0", seconds * 1000)]);
        check.up(0);
    }
}
