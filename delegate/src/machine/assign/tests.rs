//! Goal: the commands that the hub gives for a story of its nodes, one story a rule. Method: events with given times
//! into the machine, commands compared.

use std::time::Duration;

use meridian_keyspace::Revision;

use super::{Assigner, Command, Event, LinkId};
use crate::{
    NodeName,
    machine::{TICK, Term},
};

/// A hub with the link ids counted for it.
struct Check {
    assigner: Assigner,
    now: Duration,
    links: u64,
}

fn node(name: &str) -> NodeName {
    NodeName {
        region: "eu".to_owned(),
        name: name.to_owned(),
    }
}

impl Check {
    fn new() -> Self {
        let assigner = Assigner::new(Term::new(10));
        Self {
            assigner,
            now: Duration::ZERO,
            links: 0,
        }
    }

    /// What is told: `to <- delegate @ term`.
    fn on(&mut self, event: Event) -> Vec<String> {
        let told = |command: Command| {
            let Command::Assign { to, assignment } = command;
            let delegate = assignment
                .delegate_name()
                .map_or("hub", |name| name.name.as_str());
            format!("{} <- {delegate} @ {}", to.name, assignment.term)
        };
        let commands = self.assigner.handle(self.now, event);
        commands.into_iter().map(told).collect()
    }

    fn joins(&mut self, name: &str, position: i64, follows: Option<&str>) -> Vec<String> {
        self.links += 1;
        self.on(Event::Joined {
            node: node(name),
            link: LinkId(self.links),
            relay: Some(format!("{name}:1")),
            position: Revision::new(position),
            follows: follows.map(node),
        })
    }

    fn joins_without_relay(&mut self, name: &str) -> Vec<String> {
        self.links += 1;
        self.on(Event::Joined {
            node: node(name),
            link: LinkId(self.links),
            relay: None,
            position: Revision::ZERO,
            follows: None,
        })
    }

    fn leaves(&mut self, name: &str, link: u64) -> Vec<String> {
        self.on(Event::Left {
            node: node(name),
            link: LinkId(link),
        })
    }

    fn complains(&mut self, name: &str, term: u64) -> Vec<String> {
        self.on(Event::Complained {
            node: node(name),
            term: Term::new(term),
        })
    }

    /// Ticks for so long, with heartbeats of these nodes at these positions.
    fn pass(&mut self, length: Duration, heard: &[(&str, i64)]) -> Vec<String> {
        let end = self.now + length;
        let mut told = Vec::new();
        while self.now < end {
            self.now += TICK;
            for (name, position) in heard {
                told.extend(self.on(Event::Heard {
                    node: node(name),
                    position: Revision::new(*position),
                }));
            }
            told.extend(self.on(Event::Tick));
        }
        told
    }

    fn head(&mut self, revision: i64) {
        let revision = Revision::new(revision);
        assert!(self.on(Event::Head { revision }).is_empty());
    }
}

const SECOND: Duration = Duration::from_secs(1);
const NONE: [&str; 0] = [];

/// `a` is the delegate at term 10, `b` and `c` follow.
fn three() -> Check {
    let mut check = Check::new();
    assert_eq!(check.joins("a", 5, None), ["a <- a @ 10"]);
    assert_eq!(check.joins("b", 5, None), ["b <- a @ 10"]);
    assert_eq!(check.joins("c", 5, None), ["c <- a @ 10"]);
    check
}

#[test]
fn the_first_node_that_can_serve_is_named_and_stays() {
    let mut check = Check::new();
    assert_eq!(check.joins_without_relay("x"), ["x <- hub @ 10"]);
    assert_eq!(check.joins("b", 5, None), ["b <- b @ 11", "x <- b @ 11"]);
    assert_eq!(check.joins("a", 9, None), ["a <- b @ 11"]);
    assert_eq!(
        check.pass(SECOND * 5, &[("a", 9), ("b", 9), ("x", 9)]),
        NONE
    );
}

#[test]
fn regions_do_not_see_each_other() {
    let mut check = three();
    let ap = NodeName {
        region: "ap".to_owned(),
        name: "a".to_owned(),
    };
    let joined = Event::Joined {
        node: ap,
        link: LinkId(9),
        relay: Some("a:1".to_owned()),
        position: Revision::ZERO,
        follows: None,
    };
    assert_eq!(check.on(joined), ["a <- a @ 11"]);
    let delegate = check.assigner.assignment("eu").expect("named").clone();
    assert_eq!(delegate.delegate_name(), Some(&node("a")));
}

#[test]
fn a_delegate_whose_link_ends_is_replaced_at_once() {
    let mut check = three();
    assert_eq!(check.leaves("a", 1), ["b <- b @ 11", "c <- b @ 11"]);
    // It comes back and is no better than who took over.
    assert_eq!(check.joins("a", 9, None), ["a <- b @ 11"]);
}

#[test]
fn the_end_of_a_former_link_changes_nothing() {
    let mut check = three();
    assert_eq!(check.joins("a", 5, Some("a")), ["a <- a @ 10"]);
    assert_eq!(check.leaves("a", 1), NONE);
    assert_eq!(check.leaves("a", 4), ["b <- b @ 11", "c <- b @ 11"]);
}

#[test]
fn a_delegate_that_began_anew_before_its_link_ended_is_replaced() {
    let mut check = three();
    let told = ["a <- b @ 11", "b <- b @ 11", "c <- b @ 11"];
    assert_eq!(check.joins("a", 0, None), told);
}

#[test]
fn a_silent_delegate_is_replaced_unless_all_are_silent() {
    let mut check = three();
    let told = check.pass(SECOND, &[("b", 5), ("c", 5)]);
    assert_eq!(told, ["a <- b @ 11", "b <- b @ 11", "c <- b @ 11"]);
    // A whole region cut off: nobody is better.
    assert_eq!(check.pass(SECOND * 3, &[]), NONE);
}

#[test]
fn nobody_was_silent_while_the_hub_itself_stood_still() {
    let mut check = three();
    check.pass(SECOND, &[("a", 5), ("b", 5), ("c", 5)]);
    check.now += SECOND * 30;
    // One heartbeat is read, then come the tick and the others.
    let heard = Event::Heard {
        node: node("b"),
        position: Revision::new(5),
    };
    assert_eq!(check.on(heard), NONE);
    assert_eq!(check.on(Event::Tick), NONE);
    assert_eq!(check.pass(SECOND, &[("a", 5), ("b", 5), ("c", 5)]), NONE);
}

#[test]
fn a_delegate_behind_is_replaced_by_who_is_ahead() {
    let mut check = three();
    let at_5 = [("a", 5), ("b", 5), ("c", 5)];
    check.pass(SECOND, &at_5);
    check.head(100);
    // All are fed by it and nobody complains: the way to the region may be slow.
    assert_eq!(check.pass(SECOND * 3, &at_5), NONE);
    let told = check.pass(SECOND, &[("b", 5), ("c", 80), ("a", 6)]);
    assert_eq!(told, ["a <- c @ 11", "b <- c @ 11", "c <- c @ 11"]);
}

#[test]
fn a_delegate_behind_is_replaced_at_the_first_complaint() {
    let mut check = three();
    let at_5 = [("a", 5), ("b", 5), ("c", 5)];
    check.pass(SECOND, &at_5);
    assert_eq!(check.complains("c", 10), NONE);
    check.head(100);
    let told = check.pass(SECOND * 2, &at_5);
    assert_eq!(told, ["a <- b @ 11", "b <- b @ 11", "c <- b @ 11"]);
}

#[test]
fn a_majority_of_the_others_replaces_a_delegate_that_lives() {
    let mut check = three();
    assert_eq!(check.complains("b", 10), NONE);
    assert_eq!(check.complains("b", 10), NONE);
    assert_eq!(check.complains("c", 9), NONE, "an old term");
    let told = ["a <- b @ 11", "b <- b @ 11", "c <- b @ 11"];
    assert_eq!(check.complains("c", 10), told);
    // Penalised: not named again at once, though all complain of the next.
    assert_eq!(check.complains("a", 11), NONE);
    let told = ["a <- c @ 12", "b <- c @ 12", "c <- c @ 12"];
    assert_eq!(check.complains("c", 11), told);
}

#[test]
fn the_only_other_node_must_complain_twice_and_apart() {
    let mut check = Check::new();
    check.joins("a", 5, None);
    check.joins("b", 5, None);
    assert_eq!(check.complains("b", 10), NONE);
    assert_eq!(check.complains("b", 10), NONE);
    check.pass(SECOND, &[("a", 5), ("b", 5)]);
    assert_eq!(check.complains("b", 10), ["a <- b @ 11", "b <- b @ 11"]);
    // They cannot reach each other: no ping-pong while the penalty lasts.
    check.complains("a", 11);
    check.pass(SECOND * 2, &[("a", 5), ("b", 5)]);
    assert_eq!(check.complains("a", 11), NONE);
    let told = check.pass(SECOND * 3, &[("a", 5), ("b", 5)]);
    assert_eq!(told, ["a <- a @ 12", "b <- a @ 12"]);
}

#[test]
fn a_node_that_flaps_is_penalised_longer_each_time() {
    let mut penalties = super::penalty::Penalties::default();
    let mut now = Duration::ZERO;
    for seconds in [5, 10, 20, 40, 60, 60] {
        penalties.penalise(now, node("a"));
        assert!(penalties.holds(now + SECOND * seconds - TICK, &node("a")));
        assert!(!penalties.holds(now + SECOND * seconds, &node("a")));
        now += SECOND * seconds;
    }
    now += super::PENALTY_MAX;
    penalties.prune(now);
    assert!(penalties.is_empty());
}

#[test]
fn a_hub_that_nodes_come_over_to_awaits_their_delegate() {
    let mut check = Check::new();
    assert_eq!(check.joins("b", 5, Some("a")), NONE);
    assert_eq!(check.joins("c", 5, Some("a")), NONE);
    check.pass(SECOND / 5, &[]);
    let told = ["a <- a @ 10", "b <- a @ 10", "c <- a @ 10"];
    assert_eq!(check.joins("a", 5, Some("a")), told);
}

#[test]
fn a_delegate_that_does_not_come_is_not_awaited_for_long() {
    let mut check = Check::new();
    assert_eq!(check.joins("b", 5, Some("a")), NONE);
    let told = check.pass(SECOND, &[("b", 5)]);
    assert_eq!(told, ["b <- b @ 10"]);
}
