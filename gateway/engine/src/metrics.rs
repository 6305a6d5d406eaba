//! The engine's metrics: names, help and units. What is forwarded, the home counts.

use std::{sync::OnceLock, time::Duration};

use meridian_keyspace::Revision;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};

/// Handles of what is counted often, looked up once.
struct Handles {
    revision: Gauge,
    applied: Counter,
    probes: Counter,
    probe_seconds: Histogram,
    keepalives: Counter,
}

fn handles() -> &'static Handles {
    static HANDLES: OnceLock<Handles> = OnceLock::new();
    HANDLES.get_or_init(|| Handles {
        revision: gauge!("meridian_replica_revision"),
        applied: counter!("meridian_replica_revisions_applied_total"),
        probes: counter!("meridian_read_index_probes_total"),
        probe_seconds: histogram!("meridian_read_index_probe_seconds"),
        keepalives: counter!("meridian_lease_keepalives_total"),
    })
}

/// Describes the metrics to the recorder that is installed.
pub fn describe() {
    describe_gauge!(
        "meridian_replica_revision",
        "Revision of the local replica."
    );
    describe_counter!(
        "meridian_replica_revisions_applied_total",
        "Revisions applied to the local replica."
    );
    describe_counter!(
        "meridian_replica_rebuilds_total",
        "Times the replica was built anew because its place in the log was gone."
    );
    describe_counter!(
        "meridian_replica_gaps_total",
        "Gaps found in the log and mended by following anew."
    );
    describe_counter!(
        "meridian_replica_duplicates_total",
        "Revisions that arrived again and were dropped."
    );
    describe_counter!(
        "meridian_replica_log_opened_total",
        "Times the log was opened at its source."
    );
    describe_gauge!(
        "meridian_replica_bootstrap_seconds",
        Unit::Seconds,
        "Time the last bootstrap took."
    );
    describe_counter!(
        "meridian_read_index_probes_total",
        "Read-index probes that the home answered."
    );
    describe_counter!(
        "meridian_read_index_probe_failures_total",
        "Read-index probes that failed."
    );
    describe_histogram!(
        "meridian_read_index_probe_seconds",
        Unit::Seconds,
        "Time from a probe's departure to its answer."
    );
    describe_counter!(
        "meridian_lease_keepalives_total",
        "Lease renewals asked for by clients."
    );
}

pub(crate) fn applied(revision: Revision) {
    let handles = handles();
    handles.revision.set(revision.get() as f64);
    handles.applied.increment(1);
}

pub(crate) fn rebuild() {
    counter!("meridian_replica_rebuilds_total").increment(1);
}

pub(crate) fn gap() {
    counter!("meridian_replica_gaps_total").increment(1);
}

pub(crate) fn duplicate() {
    counter!("meridian_replica_duplicates_total").increment(1);
}

pub(crate) fn log_opened() {
    counter!("meridian_replica_log_opened_total").increment(1);
}

pub(crate) fn bootstrapped(took: Duration) {
    gauge!("meridian_replica_bootstrap_seconds").set(took.as_secs_f64());
}

pub(crate) fn probe_answered(took: Duration) {
    let handles = handles();
    handles.probes.increment(1);
    handles.probe_seconds.record(took.as_secs_f64());
}

pub(crate) fn probe_failed() {
    counter!("meridian_read_index_probe_failures_total").increment(1);
}

pub(crate) fn keepalive() {
    handles().keepalives.increment(1);
}
