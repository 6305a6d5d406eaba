//! Which of the configured hubs a node uses: the first reachable in their order.
//!
//! Owns the dials under way. Invariants: at most one dial or link per hub; the hub in use is left only when its
//! link ends or a better one has welcomed us. It does not judge a hub: who finds it silent closes its link.

mod event;

use std::time::Duration;

pub use event::{Command, Commands, Event, HubIndex};

/// A dial without a welcome after so long is given up and begun anew: two round trips of 220 ms (handshake,
/// hello) and as much for a lost packet. A dial begun in a cut delays the way back by no more than that.
pub const DIAL_WITHIN: Duration = Duration::from_millis(800);

/// A later hub is dialled beside the earlier ones after so long each: more than a round trip, so that with all
/// reachable the first wins.
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);

/// Between a failed dial and the next of the same hub.
pub const DIAL_PAUSE: Duration = Duration::from_millis(200);

/// How long a hub that is not the first is used before the earlier ones are tried again, and how often then. A
/// region whose nodes are on two hubs has a delegate at each, so all are to come together again.
pub const RETURN_AFTER: Duration = Duration::from_secs(10);

/// A hub that was used for less long before it failed doubles that time.
pub const STEADY_AFTER: Duration = Duration::from_secs(60);

/// The longest such time.
pub const RETURN_MAX: Duration = Duration::from_secs(160);

/// Chooses among the configured hubs.
#[derive(Debug)]
pub struct HubChooser {
    dials: Vec<Dial>,
    state: State,
    return_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dial {
    /// Not before.
    Idle { until: Duration },
    /// Since then.
    Under { since: Duration },
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// None is in use.
    Searching,
    Using {
        hub: HubIndex,
        since: Duration,
        return_at: Duration,
    },
}

impl HubChooser {
    /// A node that knows this many hubs, the best first.
    pub fn new(hubs: usize) -> Self {
        let mut chooser = Self {
            dials: vec![
                Dial::Idle {
                    until: Duration::ZERO
                };
                hubs
            ],
            state: State::Searching,
            return_after: RETURN_AFTER,
        };
        chooser.search(Duration::ZERO, None);
        chooser
    }

    /// The hub in use.
    pub fn in_use(&self) -> Option<HubIndex> {
        match self.state {
            State::Searching => None,
            State::Using { hub, .. } => Some(hub),
        }
    }

    /// Takes one event.
    pub fn handle(&mut self, now: Duration, event: Event) -> Commands {
        let mut commands = Commands::new();
        match event {
            Event::Up(hub) => self.up(now, hub, &mut commands),
            Event::Down(hub) => self.down(now, hub),
            Event::Tick => self.expire(now, &mut commands),
        }
        self.dial(now, &mut commands);
        commands
    }

    fn up(&mut self, now: Duration, hub: HubIndex, commands: &mut Commands) {
        let former = self.in_use();
        let is_awaited = self.dials.get_mut(hub.0).is_some_and(|dial| {
            let before = std::mem::replace(dial, Dial::Idle { until: now });
            matches!(before, Dial::Under { .. })
        });
        if former == Some(hub) {
            return;
        }
        if !is_awaited || former.is_some_and(|former| former < hub) {
            commands.push(Command::Close(hub));
            return;
        }
        commands.push(Command::Use(hub));
        self.state = State::Using {
            hub,
            since: now,
            return_at: now.saturating_add(self.return_after),
        };
        if let Some(former) = former {
            commands.push(Command::Close(former));
        }
        // Better ones under way may still win; later ones have no use any more.
        for (index, dial) in self.dials.iter_mut().enumerate().skip(hub.0) {
            if matches!(dial, Dial::Under { .. }) {
                *dial = Dial::Idle { until: now };
                commands.push(Command::Close(HubIndex(index)));
            }
        }
    }

    fn down(&mut self, now: Duration, hub: HubIndex) {
        match self.state {
            State::Using {
                hub: in_use, since, ..
            } if in_use == hub => {
                self.return_after = if now.saturating_sub(since) < STEADY_AFTER {
                    (self.return_after * 2).min(RETURN_MAX)
                } else {
                    RETURN_AFTER
                };
                self.search(now, Some(hub));
            }
            State::Using { .. } | State::Searching => {
                if let Some(dial @ Dial::Under { .. }) = self.dials.get_mut(hub.0) {
                    let until = now.saturating_add(DIAL_PAUSE);
                    *dial = Dial::Idle { until };
                }
            }
        }
    }

    fn expire(&mut self, now: Duration, commands: &mut Commands) {
        for (index, dial) in self.dials.iter_mut().enumerate() {
            if let Dial::Under { since } = *dial
                && now.saturating_sub(since) >= DIAL_WITHIN
            {
                *dial = Dial::Idle { until: now };
                commands.push(Command::Close(HubIndex(index)));
            }
        }
    }

    /// Begins to look for a hub: each in its turn, the one that just failed last.
    fn search(&mut self, now: Duration, failed: Option<HubIndex>) {
        self.state = State::Searching;
        let mut turn = Duration::ZERO;
        let others = (0..self.dials.len()).filter(|index| Some(HubIndex(*index)) != failed);
        for index in others.chain(failed.map(|hub| hub.0)) {
            if let Dial::Idle { until } = &mut self.dials[index] {
                *until = now.saturating_add(turn);
            }
            turn += DIAL_STAGGER;
        }
    }

    fn dial(&mut self, now: Duration, commands: &mut Commands) {
        let wanted = match &mut self.state {
            State::Searching => self.dials.len(),
            State::Using { hub, return_at, .. } if hub.0 > 0 && now >= *return_at => {
                *return_at = now.saturating_add(self.return_after);
                hub.0
            }
            State::Using { .. } => 0,
        };
        for (index, dial) in self.dials.iter_mut().enumerate().take(wanted) {
            if matches!(dial, Dial::Idle { until } if now >= *until) {
                *dial = Dial::Under { since: now };
                commands.push(Command::Dial(HubIndex(index)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
