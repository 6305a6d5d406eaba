//! The changes of one range over a link.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use meridian_home::{CallError, FollowError, Home, RangeChanges, RangeProgress};
use meridian_keyspace::{KeyRange, Revision};
use meridian_revlog::{decode_changes, encode_changes};
use meridian_runtime::TaskGroup;

use super::{caller::Caller, convert, duplex};
use crate::link::{
    Kind, Recv, Send, StreamError,
    wire::{Failure, FollowHead, Outcome, answer},
};

/// Asks the hub's home for the changes of `range` from `from` on.
pub(super) async fn open(
    caller: &Caller,
    range: &KeyRange,
    from: Revision,
    tasks: &TaskGroup,
) -> Result<RangeChanges, FollowError> {
    let (mut send, recv) = caller.open(Kind::FollowRange, None).await?;
    let (key, range_end) = range.to_wire();
    let head = FollowHead {
        key: Bytes::copy_from_slice(key),
        range_end: Bytes::copy_from_slice(range_end),
        from: from.get(),
    };
    if send.message(&head).await.is_err() {
        return Err(CallError::connection_lost().into());
    }
    let requests = stream::empty().boxed();
    let opened = duplex::carry(send, recv, requests, tasks).await;
    let (_, messages) = opened.map_err(convert::follow_error)?;
    Ok(messages
        .map(|message| match message {
            Ok(bytes) => progress(&bytes),
            Err(failure) => Err(convert::follow_error(failure)),
        })
        .boxed())
}

fn progress(bytes: &Bytes) -> Result<RangeProgress, FollowError> {
    let decoded = decode_changes(bytes);
    // What the hub sent cannot be read: as good as a broken link, for the reader asks anew.
    let (changes, complete_to) = decoded.map_err(|_| CallError::connection_lost())?;
    Ok(RangeProgress {
        changes,
        complete_to,
    })
}

/// Answers for `home`, until either side ends it.
pub(super) async fn serve(home: &dyn Home, send: Send, mut recv: Recv) -> Result<(), StreamError> {
    let FollowHead {
        key,
        range_end,
        from,
    } = recv.message().await?;
    let range = KeyRange::from_wire(&key, &range_end);
    let open = async |_requests| {
        let followed = home.follow_range(range, Revision::new(from)).await;
        let changes = followed.map_err(|error| convert::follow_failure(&error))?;
        let told = |progress: Result<RangeProgress, FollowError>| -> Result<Bytes, Failure> {
            let RangeProgress {
                changes,
                complete_to,
            } = progress.map_err(|error| convert::follow_failure(&error))?;
            Ok(encode_changes(&changes, complete_to))
        };
        Ok((
            answer::Body::Outcome(Outcome::default()),
            changes.map(told).boxed(),
        ))
    };
    duplex::answer(send, recv, open).await;
    Ok(())
}
