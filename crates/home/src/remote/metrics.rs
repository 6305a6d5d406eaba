//! What the room counts. Labels are method names and a few words, never an address or a key.

use std::{sync::OnceLock, time::Duration};

use meridian_etcd_api::Method;
use metrics::{Counter, Unit, counter, describe_counter, describe_histogram, histogram};

use crate::{CallError, Fate};

const CALLS: &str = "meridian_home_calls_total";
const RESENDS: &str = "meridian_home_resends_total";
const OPENED: &str = "meridian_home_connections_opened_total";
const CLOSED: &str = "meridian_home_connections_closed_total";
const DIALS_FAILED: &str = "meridian_home_dials_failed_total";
const READ_INDEXES: &str = "meridian_home_read_indexes_total";
const READ_INDEX_SECONDS: &str = "meridian_home_read_index_seconds";

/// Describes every metric of the room to the recorder.
pub(super) fn describe() {
    describe_counter!(CALLS, "Calls to the home by method and outcome");
    describe_counter!(
        RESENDS,
        "Calls sent again to the home, by method; never a write that left"
    );
    describe_counter!(OPENED, "Connections to the home that became usable");
    describe_counter!(CLOSED, "Connections to the home that were usable and ended");
    describe_counter!(
        DIALS_FAILED,
        "Connections to the home that could not be opened"
    );
    describe_counter!(READ_INDEXES, "Read indexes asked of the home, by outcome");
    describe_histogram!(
        READ_INDEX_SECONDS,
        Unit::Seconds,
        "Time to a read index's answer"
    );
}

/// How calls end, as a label says it.
const OUTCOMES: [&str; 4] = ["ok", "not_sent", "refused", "unknown"];

/// A handle for each method and outcome, looked up when first needed: a look-up costs as much as
/// all else that is done here for a call. The recorder is installed before the first call.
static CALLS_ENDED: [[OnceLock<Counter>; OUTCOMES.len()]; Method::ALL.len()] =
    [const { [const { OnceLock::new() }; OUTCOMES.len()] }; Method::ALL.len()];

/// One call ended.
pub(super) fn call_ended<T>(method: Method, result: &Result<T, CallError>) {
    let outcome = outcome(result);
    let handle = CALLS_ENDED[method as usize][outcome]
        .get_or_init(|| counter!(CALLS, "method" => method.path(), "outcome" => OUTCOMES[outcome]));
    handle.increment(1);
}

/// One call is sent again.
pub(super) fn resent(method: Method) {
    counter!(RESENDS, "method" => method.path()).increment(1);
}

/// A read index ended.
pub(super) fn read_index_ended<T>(result: &Result<T, CallError>, took: Duration) {
    counter!(READ_INDEXES, "outcome" => OUTCOMES[outcome(result)]).increment(1);
    if result.is_ok() {
        histogram!(READ_INDEX_SECONDS).record(took);
    }
}

/// A connection could not be opened.
pub(super) fn dial_failed() {
    counter!(DIALS_FAILED).increment(1);
}

/// Counts a connection as open for as long as it lives.
pub(super) struct OpenConnection(());

impl OpenConnection {
    /// It became usable.
    pub(super) fn opened() -> Self {
        counter!(OPENED).increment(1);
        Self(())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        counter!(CLOSED).increment(1);
    }
}

/// The place of an outcome in [`OUTCOMES`].
fn outcome<T>(result: &Result<T, CallError>) -> usize {
    match result {
        Ok(_) => 0,
        Err(error) => match error.fate {
            Fate::NotSent => 1,
            Fate::Refused => 2,
            Fate::Unknown => 3,
        },
    }
}
