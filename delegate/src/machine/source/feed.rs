//! The stream in use: whose it is, when it last gave a sign, and whether it brings what the hub has.

use std::time::Duration;

use meridian_keyspace::Revision;

use super::{ANSWER_LATE, FALLBACK_AFTER, HUB_PROGRESS_LATE, LAG_LATE, PROGRESS_LATE, Source};
use crate::{NodeName, machine::head::HeadHistory};

#[derive(Debug)]
pub(super) struct Feed {
    /// Whose stream stands.
    source: Source,
    /// Since when.
    stood: Duration,
    /// The newest subscription without an answer yet.
    asked: Option<(Source, Duration)>,
    /// When its source last gave a sign of life.
    heard: Duration,
    /// When the log last came nearer.
    progress: Duration,
    /// When the delegate last said that it receives what comes next.
    on_its_way: Option<Duration>,
    /// Since when there is none.
    missed: Option<Duration>,
    position: Revision,
    /// What the hub told of its newest revision.
    head: HeadHistory,
}

impl Feed {
    pub(super) fn new(position: Revision) -> Self {
        Self {
            source: Source::None,
            stood: Duration::ZERO,
            asked: None,
            heard: Duration::ZERO,
            progress: Duration::ZERO,
            on_its_way: None,
            missed: None,
            position,
            head: HeadHistory::new(LAG_LATE),
        }
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn position(&self) -> Revision {
        self.position
    }

    pub(super) fn stood(&self, now: Duration) -> Duration {
        now.saturating_sub(self.stood)
    }

    pub(super) fn stands(&mut self, now: Duration, source: Source) {
        self.not_answered(&source);
        self.source = source;
        self.stood = now;
        self.heard = now;
        self.progress = now;
        self.missed = None;
    }

    /// The stream, or the attempt, of this source ended; how long it stood if it was the one in use.
    pub(super) fn ended(&mut self, now: Duration, source: &Source) -> Option<Duration> {
        self.not_answered(source);
        if self.source != *source {
            return None;
        }
        self.source = Source::None;
        self.missed.get_or_insert(now);
        Some(self.stood(now))
    }

    pub(super) fn hub_ended(&mut self, now: Duration) {
        self.ended(now, &Source::Hub);
        self.head.forget();
    }

    /// Every link to a delegate was dropped.
    pub(super) fn links_dropped(&mut self, now: Duration) {
        if matches!(self.source, Source::Delegate(_)) {
            self.ended(now, &self.source.clone());
        }
    }

    pub(super) fn is_to_be_asked(&self, wanted: &Source) -> bool {
        let is_asked = self
            .asked
            .as_ref()
            .is_some_and(|(asked, _)| asked == wanted);
        self.source != *wanted && !is_asked
    }

    pub(super) fn asked(&mut self, now: Duration, source: Source) {
        self.asked = Some((source, now));
    }

    pub(super) fn not_answered(&mut self, source: &Source) {
        if self
            .asked
            .as_ref()
            .is_some_and(|(asked, _)| asked == source)
        {
            self.asked = None;
        }
    }

    pub(super) fn hub_answer_is_late(&self, now: Duration) -> bool {
        matches!(&self.asked, Some((Source::Hub, at)) if now.saturating_sub(*at) >= ANSWER_LATE)
    }

    /// The stream in use is as good as none: its source may be asked for another.
    pub(super) fn ask_again(&mut self, now: Duration) {
        self.ended(now, &self.source.clone());
        self.progress = now;
    }

    pub(super) fn expect_stream(&mut self, now: Duration) {
        if self.source == Source::None {
            self.missed.get_or_insert(now);
        }
    }

    pub(super) fn is_missed(&self, now: Duration) -> bool {
        self.missed
            .is_some_and(|since| now.saturating_sub(since) >= FALLBACK_AFTER)
    }

    pub(super) fn heard_delegate(&mut self, now: Duration, name: &NodeName) {
        if matches!(&self.source, Source::Delegate(in_use) if in_use == name) {
            self.heard = now;
        }
    }

    /// A delegate's stream without a sign of life is none, since when it last gave one.
    pub(super) fn judge_silence(&mut self, now: Duration) {
        let is_silent = now.saturating_sub(self.heard) >= FALLBACK_AFTER;
        if is_silent && matches!(self.source, Source::Delegate(_)) {
            self.source = Source::None;
            self.missed = Some(self.heard);
        }
    }

    pub(super) fn received(&mut self, now: Duration) {
        self.heard = now;
        self.progress = now;
    }

    /// The assigned delegate receives what we wait for, though we do not yet.
    pub(super) fn is_on_its_way(&mut self, now: Duration) {
        self.progress = now;
        self.on_its_way = Some(now);
        if let Some(missed) = &mut self.missed {
            *missed = now;
        }
    }

    /// Whether the delegate itself waits for one huge revision.
    pub(super) fn is_awaited(&self, now: Duration) -> bool {
        self.on_its_way
            .is_some_and(|at| now.saturating_sub(at) < PROGRESS_LATE)
    }

    pub(super) fn advanced(&mut self, revision: Revision) {
        self.position = self.position.max(revision);
    }

    pub(super) fn head_told(&mut self, now: Duration, head: Revision) {
        self.head.told(now, head);
    }

    pub(super) fn tick(&mut self, now: Duration) {
        self.head.tick(now);
    }

    /// Whether a head that was told [`LAG_LATE`] ago is not reached.
    pub(super) fn lags(&self, now: Duration) -> bool {
        self.head.late(now).is_some_and(|head| self.position < head)
    }

    pub(super) fn stands_still(&self, now: Duration) -> bool {
        let late = match self.source {
            Source::Hub => HUB_PROGRESS_LATE,
            Source::Delegate(_) | Source::None => PROGRESS_LATE,
        };
        self.lags(now) && now.saturating_sub(self.progress) >= late
    }

    pub(super) fn forgive(&mut self, forgive: impl Fn(&mut Duration)) {
        forgive(&mut self.heard);
        forgive(&mut self.progress);
        self.missed.as_mut().map(&forgive);
        self.head.forgive();
        if let Some((_, at)) = &mut self.asked {
            forgive(at);
        }
    }
}
