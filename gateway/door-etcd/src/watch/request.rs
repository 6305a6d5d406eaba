//! A watch stream's requests: creates, cancels, progress.
//!
//! Invariant: requests take effect in order. What the engine does not keep of a create (how its
//! events are to look) waits here for the create's answer, in the same order.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_engine::watch::{Wanted, WatchControl, WatchId, WatchSpec};
use meridian_etcd_api::etcdserverpb::{
    WatchCreateRequest, WatchRequest, watch_create_request::FilterType, watch_request::RequestUnion,
};
use meridian_keyspace::{KeyRange, Revision};
use parking_lot::Mutex;
use prost::Message;

use crate::{
    call::Connection, failure::Failure, keepalive::unmarshal, stream::Requests,
    wire::watch::Previous,
};

/// How a watcher's events are to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) previous: Previous,
    pub(super) large: Large,
}

/// What becomes of a message over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Large {
    /// It is sent as it is.
    Whole,
    /// It is sent in fragments.
    Split,
}

impl Look {
    /// How events look unless asked otherwise.
    pub(super) const PLAIN: Self = Self {
        previous: Previous::Left,
        large: Large::Whole,
    };
}

/// The looks of creates that have no answer yet. As many as the engine lets wait unanswered.
#[derive(Clone, Default)]
pub(super) struct Wishes(Arc<Mutex<VecDeque<Look>>>);

impl Wishes {
    fn push(&self, look: Look) {
        self.0.lock().push_back(look);
    }

    /// The look of the create that is answered now.
    pub(super) fn pop(&self) -> Look {
        self.0.lock().pop_front().unwrap_or(Look::PLAIN)
    }
}

/// Reads requests until the client half-closes, which ends nothing else.
///
/// # Errors
/// A broken message or connection.
pub(super) async fn read(
    mut requests: Requests,
    control: WatchControl,
    wishes: Wishes,
    connection: Arc<Connection>,
) -> Result<(), Failure> {
    while let Some(message) = requests.next().await {
        let request = WatchRequest::decode(message?).map_err(|error| unmarshal(&error))?;
        let taken = match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => {
                wishes.push(look_of(&create));
                control.create(spec_of(&create), connection.floor()).await
            }
            Some(RequestUnion::CancelRequest(cancel)) => {
                control.cancel(WatchId(cancel.watch_id)).await
            }
            Some(RequestUnion::ProgressRequest(_)) => {
                control.progress();
                Ok(())
            }
            // etcd does nothing for a request of a kind it does not know.
            None => Ok(()),
        };
        if taken.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

fn look_of(create: &WatchCreateRequest) -> Look {
    Look {
        previous: if create.prev_kv {
            Previous::Sent
        } else {
            Previous::Left
        },
        large: if create.fragment {
            Large::Split
        } else {
            Large::Whole
        },
    }
}

fn spec_of(create: &WatchCreateRequest) -> WatchSpec {
    let filtered = |filter: FilterType| {
        if create.filters.contains(&i32::from(filter)) {
            Wanted::No
        } else {
            Wanted::Yes
        }
    };
    WatchSpec {
        id: (create.watch_id != 0).then_some(WatchId(create.watch_id)),
        range: KeyRange::from_wire(first_key(&create.key), &create.range_end),
        start: Revision::new(create.start_revision),
        puts: filtered(FilterType::Noput),
        deletes: filtered(FilterType::Nodelete),
        progress: if create.progress_notify {
            Wanted::Yes
        } else {
            Wanted::No
        },
    }
}

/// etcd takes an empty key for the first one there can be.
fn first_key(key: &Bytes) -> &[u8] {
    if key.is_empty() { &[0] } else { key }
}

#[cfg(test)]
mod tests;
