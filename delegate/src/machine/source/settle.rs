//! From what is known to what is to be done: silence and standstill are judged by the tick alone, everything
//! else after each event.

use std::time::Duration;

use super::{
    Command, Commands, HUB_STRIKES_MAX, LAG_COMPLAINED_AGAIN, Source, SourceChooser,
    UNASSIGNED_WAIT,
};

impl SourceChooser {
    pub(super) fn tick(&mut self, now: Duration, commands: &mut Commands) {
        self.feed.tick(now);
        self.judge_hub(now, commands);
        self.judge_delegate(now, commands);
    }

    /// If we stood still, nobody was silent meanwhile.
    pub(super) fn wake(&mut self, now: Duration) {
        if let Some(stood_still) = self.wake.event(now) {
            let forgive = |at: &mut Duration| *at = at.saturating_add(stood_still).min(now);
            self.hub.forgive(forgive);
            self.delegate.forgive(forgive);
            self.feed.forgive(forgive);
        }
    }

    fn judge_hub(&mut self, now: Duration, commands: &mut Commands) {
        if !self.hub.is_up() {
            return;
        }
        if *self.feed.source() == Source::Hub && self.feed.stands_still(now) {
            self.hub.strike();
            self.feed.ask_again(now);
        } else if self.feed.hub_answer_is_late(now) {
            self.hub.strike();
            self.feed.not_answered(&Source::Hub);
        }
        if self.hub.is_silent(now)
            || self.hub.is_behind(now)
            || self.hub.strikes() >= HUB_STRIKES_MAX
        {
            commands.push(Command::DropHub);
            self.hub_ended(now, commands);
        }
    }

    fn judge_delegate(&mut self, now: Duration, commands: &mut Commands) {
        // A former delegate whose stream is still in use.
        self.feed.judge_silence(now);
        let Some(name) = self.delegate.name().cloned() else {
            return;
        };
        let streams = *self.feed.source() == Source::Delegate(name.clone());
        let stands_still = streams && self.feed.stands_still(now);
        if stands_still || self.delegate.is_late(now, streams) {
            self.leave_delegate(now, &Source::Delegate(name), commands);
        } else if streams {
            self.complain_of_lag(now, commands);
            self.delegate.streams_steadily(self.feed.stood(now));
        }
    }

    fn leave_delegate(&mut self, now: Duration, source: &Source, commands: &mut Commands) {
        self.complain(commands);
        self.feed.ended(now, source);
        if !self.delegate.leave(now) {
            commands.push(Command::DropDelegate);
            // Any former delegate's stream goes with the links.
            self.feed.links_dropped(now);
        }
    }

    fn complain_of_lag(&mut self, now: Duration, commands: &mut Commands) {
        let is_due = self
            .lag_complained
            .is_none_or(|last| now.saturating_sub(last) >= LAG_COMPLAINED_AGAIN);
        let lags = self.feed.lags(now) && !self.feed.is_awaited(now);
        if is_due && lags && self.delegate.has_no_more_than(self.feed.position()) {
            self.lag_complained = Some(now);
            self.complain(commands);
        }
    }

    fn complain(&self, commands: &mut Commands) {
        if let (true, Some(held)) = (self.is_of_this_hub, &self.assignment) {
            commands.push(Command::Complain { term: held.term });
        }
    }

    /// Asks for what should be the source and is not, and drops links that have no use.
    pub(super) fn settle(&mut self, now: Duration, commands: &mut Commands) {
        if self.delegate.is_to_be_connected(now) {
            let assigned = self
                .assignment
                .as_ref()
                .and_then(|held| held.delegate.clone());
            let (name, address) = assigned.expect("who has a delegate was assigned it");
            self.delegate.connecting(now);
            commands.push(Command::ConnectDelegate(name, address));
        }
        let wanted = self.wanted(now);
        if wanted != Source::None && self.feed.is_to_be_asked(&wanted) {
            self.feed.asked(now, wanted.clone());
            if wanted == Source::Hub {
                self.hub.asked(now);
            }
            commands.push(Command::Subscribe(wanted));
        }
        let is_in_use = matches!(self.feed.source(), Source::Delegate(_));
        if !is_in_use && self.delegate.is_of_no_use() {
            commands.push(Command::DropDelegate);
        }
    }

    /// Where the log should come from now; [`Source::None`]: leave it as it is.
    fn wanted(&self, now: Duration) -> Source {
        let hub = if self.hub.may_be_asked(now) {
            Source::Hub
        } else {
            Source::None
        };
        let Some(assignment) = &self.assignment else {
            return if self.hub.up_for(now) >= UNASSIGNED_WAIT {
                hub
            } else {
                Source::None
            };
        };
        if assignment
            .delegate_name()
            .is_none_or(|name| *name == self.me)
        {
            return hub;
        }
        match self.delegate.ready(now) {
            Some(name) => Source::Delegate(name.clone()),
            None if self.delegate.is_left() || self.feed.is_missed(now) => hub,
            None => Source::None,
        }
    }
}
