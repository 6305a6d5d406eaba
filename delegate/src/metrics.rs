//! The link's metrics: names, help and units. Labels are bounded: a direction and a distance, never
//! a node's name.

use std::sync::OnceLock;

use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

use crate::ledger::{PeerStatus, Totals};

struct Handles {
    coded_revisions: Counter,
    raw_bytes: Counter,
    coded_bytes: Counter,
    position: Gauge,
    received: Counter,
    received_bytes: Counter,
}

fn handles() -> &'static Handles {
    static HANDLES: OnceLock<Handles> = OnceLock::new();
    HANDLES.get_or_init(|| Handles {
        coded_revisions: counter!("meridian_log_coded_events_total"),
        raw_bytes: counter!("meridian_log_raw_bytes_total"),
        coded_bytes: counter!("meridian_log_coded_bytes_total"),
        position: gauge!("meridian_log_position"),
        received: counter!("meridian_log_batches_received_total"),
        received_bytes: counter!("meridian_log_bytes_received_total"),
    })
}

/// Describes the metrics to the recorder that is installed.
pub fn describe() {
    describe_counter!(
        "meridian_log_coded_events_total",
        "Events coded into batches of the log, at a hub."
    );
    describe_counter!(
        "meridian_log_raw_bytes_total",
        Unit::Bytes,
        "Bytes of the log before coding, at a hub."
    );
    describe_counter!(
        "meridian_log_coded_bytes_total",
        Unit::Bytes,
        "Bytes of the log's batches, frames included, at a hub: what one copy costs."
    );
    describe_gauge!(
        "meridian_log_position",
        "Last revision in the process's window of the log."
    );
    describe_counter!(
        "meridian_log_batches_received_total",
        "Batches of the log that arrived over a link."
    );
    describe_counter!(
        "meridian_log_bytes_received_total",
        Unit::Bytes,
        "Bytes of these, frames included."
    );
    describe_counter!(
        "meridian_log_begun_anew_total",
        "Times the window was emptied because what was due was gone or of another home."
    );
    describe_counter!(
        "meridian_log_subscriptions_opened_total",
        "Readers of the log that were accepted, by distance and whether a delegate was passed over."
    );
    describe_counter!(
        "meridian_log_subscriptions_closed_total",
        "Of these, ended."
    );
    describe_counter!(
        "meridian_log_subscriptions_refused_total",
        "Readers of the log that were told to go elsewhere, by reason."
    );
    describe_counter!(
        "meridian_log_history_total",
        "Readers that began before the window, by what they were served from."
    );
    describe_counter!(
        "meridian_link_snapshots_opened_total",
        "Snapshots begun or resumed for joiners."
    );
    describe_counter!("meridian_link_snapshots_closed_total", "Of these, ended.");
    describe_counter!(
        "meridian_link_source_changes_total",
        "Times this node took the log from somewhere else, by what."
    );
    describe_counter!(
        "meridian_link_assignments_total",
        "Delegates that this hub has named."
    );
    describe_gauge!(
        "meridian_link_bytes",
        Unit::Bytes,
        "UDP bytes of all links since the start, by distance (wan, lan) and direction (in, out)."
    );
    describe_gauge!(
        "meridian_link_round_trip_seconds",
        Unit::Seconds,
        "Round trip to the nearest peer as QUIC measures it, by distance: smoothed, min and jitter."
    );
    describe_gauge!(
        "meridian_link_lag_revisions",
        "Revisions between the hub's head, as last heard, and this node."
    );
}

pub(crate) fn log_begun_anew() {
    counter!("meridian_log_begun_anew_total").increment(1);
}

pub(crate) fn coded(events: u32, raw_bytes: u64, coded_bytes: u64) {
    let handles = handles();
    handles.coded_revisions.increment(u64::from(events));
    handles.raw_bytes.increment(raw_bytes);
    handles.coded_bytes.increment(coded_bytes);
}

pub(crate) fn received(bytes: usize) {
    handles().received.increment(1);
    handles().received_bytes.increment(bytes as u64);
}

pub(crate) fn position(revision: i64) {
    handles().position.set(revision as f64);
}

pub(crate) fn subscription_opened(distance: &'static str, bypass: bool) {
    let kind = if bypass { "bypass" } else { "usual" };
    counter!("meridian_log_subscriptions_opened_total", "distance" => distance, "kind" => kind)
        .increment(1);
}

pub(crate) fn subscription_closed() {
    counter!("meridian_log_subscriptions_closed_total").increment(1);
}

/// The links of a process: bytes by distance and direction, and the round trip to each region's
/// nearest peer.
pub(crate) fn links(totals: &Totals, peers: &[PeerStatus]) {
    let Totals {
        wan_in,
        wan_out,
        lan_in,
        lan_out,
    } = *totals;
    let bytes = [
        ("wan", "in", wan_in),
        ("wan", "out", wan_out),
        ("lan", "in", lan_in),
        ("lan", "out", lan_out),
    ];
    for (distance, direction, bytes) in bytes {
        gauge!("meridian_link_bytes", "distance" => distance, "direction" => direction)
            .set(bytes as f64);
    }
    for distance in ["wan", "lan"] {
        let of_distance = peers.iter().filter(|peer| peer.wan == (distance == "wan"));
        let nearest = of_distance.min_by(|a, b| a.rtt_ms.total_cmp(&b.rtt_ms));
        if let Some(nearest) = nearest {
            let seconds = [
                ("smoothed", nearest.rtt_ms),
                ("min", nearest.rtt_min_ms),
                ("jitter", nearest.jitter_ms),
            ];
            for (kind, ms) in seconds {
                gauge!("meridian_link_round_trip_seconds", "distance" => distance, "kind" => kind)
                    .set(ms / 1e3);
            }
        }
    }
}

pub(crate) fn lag(revisions: i64) {
    gauge!("meridian_link_lag_revisions").set(revisions as f64);
}

pub(crate) fn subscription_refused(why: &'static str) {
    counter!("meridian_log_subscriptions_refused_total", "reason" => why).increment(1);
}

pub(crate) fn history_from(what: &'static str) {
    counter!("meridian_log_history_total", "from" => what).increment(1);
}

/// A snapshot for a joiner, counted while this lives.
pub(crate) struct SnapshotServed;

impl SnapshotServed {
    pub(crate) fn opened() -> Self {
        counter!("meridian_link_snapshots_opened_total").increment(1);
        Self
    }
}

impl Drop for SnapshotServed {
    fn drop(&mut self) {
        counter!("meridian_link_snapshots_closed_total").increment(1);
    }
}

pub(crate) fn source_changed(to: &'static str) {
    counter!("meridian_link_source_changes_total", "to" => to).increment(1);
}

pub(crate) fn assigned() {
    counter!("meridian_link_assignments_total").increment(1);
}
