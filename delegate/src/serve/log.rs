//! One subscription to the log.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use meridian_keyspace::{Revision, SharedKeyspace};
use meridian_revlog::{Epoch, FeedError, GroupId, SeekError};
use tokio::{sync::watch, time::timeout};

use super::{BEHIND_PATIENCE, Gate, REQUEST_DEADLINE, Station, Subscription, history::History};
use crate::{
    link::{
        Recv, Send, StreamError,
        wire::{LogReply, Refused, Subscribe, Subscribed, Why},
    },
    machine::Term,
    metrics,
    relay::{Filling, Gone, Lineage, Place},
    replica,
};

/// Coded bytes handed to the transport at a time; it holds the next of them while the first are on
/// their way, so this is also what a batch that arrives now may wait behind, beyond flow control.
const STEP_BYTES: usize = 256 << 10;

/// How long a reader of history that has come to its end waits for the window to move.
const HISTORY_PAUSE: Duration = Duration::from_millis(20);

/// How long the home may take to open its history: less than a subscriber waits for the answer (3 s).
const HISTORY_PATIENCE: Duration = Duration::from_millis(2500);

/// After so long a replica that brings nothing more is not a step behind but stands still: the window
/// is read instead, at the price of a group.
const HISTORY_DRY: Duration = Duration::from_millis(200);

/// Why a subscription ended here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    /// The stream or its link.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// It was told to go elsewhere.
    #[error("refused: {0:?}")]
    Refused(Why),
    /// The subscriber's assignment is no longer held here.
    #[error("this node is not the region's delegate any more")]
    GateClosed,
    /// What it needs next is gone.
    #[error("the reader has fallen behind all history: {0}")]
    Lost(FeedError),
    /// What it needs next is not of the log that it was accepted for.
    #[error("the log here has begun anew")]
    Anew,
}

/// What is asked for.
struct Wanted {
    from: Revision,
    have: Option<(GroupId, u32)>,
    term: Term,
    /// What was judged; another is judged anew.
    filling: Filling,
}

/// Serves one subscription until either side ends it.
pub(crate) async fn log(
    station: &Station,
    mut send: Send,
    mut recv: Recv,
    distance: &'static str,
) -> Result<(), Ended> {
    let subscribe: Subscribe = recv.message_within(REQUEST_DEADLINE).await?;
    let judged = tokio::select! {
        judged = judge(station, &subscribe) => judged,
        stopped = send.stopped() => return Err(Ended::Stream(stopped)),
    };
    let wanted = match judged {
        Ok(wanted) => wanted,
        Err(refused) => {
            let why = refused.why();
            metrics::subscription_refused(why.as_str_name());
            send.message(&LogReply::refused(refused)).await?;
            send.finish();
            return Err(Ended::Refused(why));
        }
    };
    let _open = Subscription::opened(&station.served, distance, subscribe.bypass);
    send.message(&LogReply::subscribed(subscribed(station)))
        .await?;
    let mut gate = station.gate.clone();
    let stopped = send.stopped();
    let ended = tokio::select! {
        ended = deliver(station, &mut send, &wanted) => ended,
        stopped = stopped => Err(Ended::Stream(stopped)),
        () = shut(&mut gate, wanted.term) => Err(Ended::GateClosed),
    };
    if let Err(Ended::Lost(_) | Ended::Anew) = &ended {
        // What was sent is whole, and is to arrive: the reader comes again for what is behind it.
        send.finish();
    }
    ended
}

/// Waits until whoever holds `term` may not be served any more.
async fn shut(gate: &mut watch::Receiver<Gate>, term: Term) {
    if gate.wait_for(|gate| !gate.admits(term)).await.is_err() {
        // Nobody is left who could shut it: a hub's stays open.
        std::future::pending().await
    }
}

/// Whether it can be served from here.
async fn judge(station: &Station, subscribe: &Subscribe) -> Result<Wanted, Refused> {
    let relay = &station.relay;
    let mut wanted = Wanted {
        from: Revision::new(subscribe.from),
        have: subscribe
            .have
            .map(|have| (GroupId::new(have.group), have.batches)),
        term: Term::new(subscribe.term),
        filling: relay.filling(),
    };
    let gate: Gate = *station.gate.borrow();
    if !gate.admits(wanted.term) {
        return Err(Refused::new(Why::NotHeld));
    }
    if wanted.from <= Revision::ZERO {
        // No revision at all: to a home it would mean "from now on".
        return Err(Refused::compacted(Revision::ZERO));
    }
    let mut changes = relay.changes();
    let arrives = async {
        loop {
            let ahead = matches!(
                relay.seek(wanted.from, wanted.have),
                Err(SeekError::Ahead { .. } | SeekError::Unpositioned)
            );
            if !ahead || changes.changed().await.is_err() {
                return;
            }
        }
    };
    let behind = timeout(BEHIND_PATIENCE, arrives).await.is_err();
    wanted.filling = relay.filling();
    if !relay.lineage().agrees(Lineage(subscribe.lineage)) {
        return Err(Refused::new(Why::OtherLineage));
    }
    let at = relay.at();
    if let Some(at) = at
        && at.epoch != Epoch::new(subscribe.epoch)
    {
        return Err(Refused::new(Why::OtherEpoch));
    }
    if behind {
        return Err(Refused::new(Why::Behind));
    }
    if let Err(SeekError::Before { first }) = relay.seek(wanted.from, wanted.have) {
        // Whether the history before the window reaches back so far is found out now, so that the
        // subscriber hears it as a refusal.
        let mut history = History::new(station, wanted.from);
        match timeout(HISTORY_PATIENCE, history.next()).await {
            Ok(Ok(_)) => {}
            Ok(Err(FeedError::Compacted { compacted })) => {
                return Err(Refused::compacted(compacted.max(first.previous())));
            }
            Ok(Err(FeedError::Denied(_) | FeedError::Unavailable(_))) | Err(_) => {
                return Err(Refused::new(Why::Behind));
            }
        }
    }
    Ok(wanted)
}

fn subscribed(station: &Station) -> Subscribed {
    let held = station.relay.held();
    Subscribed {
        lineage: station.relay.lineage().0,
        epoch: station.relay.epoch().get(),
        head: held.at.map_or(0, |at| at.revision.get()),
    }
}

/// Where the next batches come from.
enum Tier<'s> {
    Window(Place),
    /// The window's end, by a reader that can begin to decode only where a group begins.
    Join(Place),
    History(History<'s>),
}

/// Sends the log from what is wanted on; ends only with an error.
async fn deliver(station: &Station, send: &mut Send, wanted: &Wanted) -> Result<(), Ended> {
    let relay = &station.relay;
    let mut changes = relay.changes();
    let mut due = wanted.from;
    let mut tier = place(station, wanted, due, wanted.have)?;
    let mut batches = Vec::new();
    // Since when history has had nothing, though the window has more.
    let mut dry: Option<Instant> = None;
    loop {
        changes.mark_unchanged();
        match &mut tier {
            Tier::Window(place) | Tier::Join(place) => {
                match relay.read(place, STEP_BYTES, &mut batches) {
                    Ok(()) if batches.is_empty() => {
                        if changes.changed().await.is_err() {
                            return Ok(());
                        }
                        continue;
                    }
                    Ok(()) => {}
                    Err(Gone::Evicted) => {
                        tier = self::place(station, wanted, due, None)?;
                        continue;
                    }
                    Err(Gone::Refilled) => return Err(Ended::Anew),
                }
            }
            Tier::History(history) => {
                batches = history.next().await.map_err(Ended::Lost)?;
                if batches.is_empty() {
                    // The replica is a step behind the window; both move on with the log.
                    let _ = timeout(HISTORY_PAUSE, changes.changed()).await;
                    let since = *dry.get_or_insert_with(Instant::now);
                    if since.elapsed() >= HISTORY_DRY && relay.seek(due, None).is_ok() {
                        tier = place_behind(station, wanted, due, None)?;
                        continue;
                    }
                } else {
                    dry = None;
                }
            }
        }
        if relay.filling() != wanted.filling {
            return Err(Ended::Anew);
        }
        if let Tier::Join(joined) = &tier {
            let begins = batches.first().is_some_and(|first| first.start().is_some());
            let joined = joined.clone();
            if !begins {
                // It was being coded while the wish was made: send the group from its start.
                batches.clear();
                tier = place_behind(station, wanted, due, None)?;
                continue;
            }
            tier = Tier::Window(joined);
        }
        if let Some(last) = batches.last() {
            due = due.max(last.last().next());
        }
        let mut chunks: Vec<Bytes> = batches
            .drain(..)
            .map(|batch| batch.frame().clone())
            .collect();
        send.chunks(&mut chunks).await?;
        if let Tier::History(_) = tier
            && let Some(place) = behind_history(station, wanted, due)
        {
            tier = place?;
        }
    }
}

/// Where a reader that holds all before `due`, and of no group here, goes on; history if nothing
/// else.
fn place<'s>(
    station: &'s Station,
    wanted: &Wanted,
    due: Revision,
    have: Option<(GroupId, u32)>,
) -> Result<Tier<'s>, Ended> {
    let relay = &station.relay;
    if let Some(place) = relay.resume(due, have)
        && place.filling() == wanted.filling
    {
        return Ok(Tier::Window(place));
    }
    if let Some(place) = behind_history(station, wanted, due) {
        return place;
    }
    // A group that is under way may be megabytes, which a bad way carries in minutes. What is
    // missing from it to its end is coded anew for this reader, from where it stands.
    let reaches = |replica: &Arc<SharedKeyspace>| replica::history(replica, due).is_some();
    match relay.at().is_some() && station.replica.replica().as_ref().is_some_and(reaches) {
        true => Ok(Tier::History(History::new(station, due))),
        false => place_behind(station, wanted, due, have),
    }
}

/// The way from history into the window, if it is open: where the log is coded, at its very end,
/// for there a group can be made to begin; elsewhere wherever the window holds what is due.
fn behind_history<'s>(
    station: &'s Station,
    wanted: &Wanted,
    due: Revision,
) -> Option<Result<Tier<'s>, Ended>> {
    if station.home.is_none() {
        let holds = station.relay.seek(due, None).is_ok();
        return holds.then(|| place_behind(station, wanted, due, None));
    }
    let place = station.relay.join(due)?;
    Some(match place.filling() == wanted.filling {
        true => Ok(Tier::Join(place)),
        false => Err(Ended::Anew),
    })
}

fn place_behind<'s>(
    station: &'s Station,
    wanted: &Wanted,
    due: Revision,
    have: Option<(GroupId, u32)>,
) -> Result<Tier<'s>, Ended> {
    match station.relay.seek(due, have) {
        Ok(place) if place.filling() == wanted.filling => Ok(Tier::Window(place)),
        Ok(_) | Err(SeekError::Unpositioned | SeekError::Ahead { .. }) => Err(Ended::Anew),
        Err(SeekError::Before { .. }) => Ok(Tier::History(History::new(station, due))),
    }
}
