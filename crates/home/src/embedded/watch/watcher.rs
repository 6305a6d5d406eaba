//! One watcher: what it wants to see, and how its events are put into messages.

use meridian_etcd_api::{etcdserverpb as pb, mvccpb};
use meridian_keyspace::{Change, KeyRange, Revision};
use prost::Message;

use super::super::{node::MESSAGE_BYTES_MAX, wire};

pub(super) struct Watcher {
    pub(super) range: KeyRange,
    /// It sees nothing below.
    pub(super) from: Revision,
    prev_kv: bool,
    puts: bool,
    deletes: bool,
    fragment: bool,
    pub(super) progress_notify: bool,
    /// Whether an event was sent since the last tick of the progress timer.
    pub(super) was_busy: bool,
}

impl Watcher {
    /// The watcher that a create request asks for, which starts at `next` if the request does not
    /// say. None if no key can lie in its range.
    pub(super) fn new(request: &pb::WatchCreateRequest, next: Revision) -> Option<Self> {
        use pb::watch_create_request::FilterType;
        let key: &[u8] = if request.key.is_empty() {
            &[0]
        } else {
            &request.key
        };
        let range = KeyRange::from_wire(key, &request.range_end);
        if range.span().is_empty() {
            return None;
        }
        let without = |filter: FilterType| request.filters.contains(&(filter as i32));
        let starts = Revision::new(request.start_revision);
        Some(Self {
            range,
            from: if starts == Revision::ZERO {
                next
            } else {
                starts
            },
            prev_kv: request.prev_kv,
            puts: !without(FilterType::Noput),
            deletes: !without(FilterType::Nodelete),
            fragment: request.fragment,
            progress_notify: request.progress_notify,
            was_busy: false,
        })
    }

    /// Its events of one change.
    pub(super) fn events(&self, change: &Change) -> Vec<mvccpb::Event> {
        if change.revision < self.from {
            return Vec::new();
        }
        let wanted = change.events.iter().filter(|event| {
            let of_kind = if event.record.is_tombstone() {
                self.deletes
            } else {
                self.puts
            };
            of_kind && self.range.contains(event.record.key())
        });
        wanted
            .map(|event| wire::event(event, self.prev_kv))
            .collect()
    }

    /// A message with these events, or its fragments if it wants them and it is large.
    pub(super) fn messages(&self, response: pb::WatchResponse) -> Vec<pb::WatchResponse> {
        if self.fragment && response.encoded_len() >= MESSAGE_BYTES_MAX {
            return fragments(response, MESSAGE_BYTES_MAX);
        }
        vec![response]
    }
}

/// Splits a message between events so that each part stays below `bytes_max`, if its events allow;
/// every part but the last says that more follows.
pub(in super::super) fn fragments(
    response: pb::WatchResponse,
    bytes_max: usize,
) -> Vec<pb::WatchResponse> {
    let pb::WatchResponse { events, .. } = response;
    let bare = pb::WatchResponse {
        events: Vec::new(),
        fragment: true,
        ..response
    };
    let mut parts = Vec::new();
    let mut part = bare.clone();
    let mut bytes = bare.encoded_len();
    for event in events {
        // Tag and length of the event; a length has at most five bytes.
        let event_bytes = event.encoded_len() + 6;
        if !part.events.is_empty() && bytes + event_bytes >= bytes_max {
            parts.push(std::mem::replace(&mut part, bare.clone()));
            bytes = bare.encoded_len();
        }
        bytes += event_bytes;
        part.events.push(event);
    }
    part.fragment = false;
    parts.push(part);
    parts
}
