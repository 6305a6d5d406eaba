//! The reviewed list: where a target is known to break a rule, how that shows, and why it stays so.
//!
//! An entry whose difference is gone fails the run.

use meridian_tests::suite::Difference;

pub(crate) const LISTED: &[Difference] = &[
    Difference {
        case: "range_refused::an_unknown_sort_order",
        target: "etcd-3.4*",
        shows: "answered RangeResponse",
        reason: "3.4.23 does not check the order",
    },
    Difference {
        case: "range_refused::an_unknown_sort_target*",
        target: "etcd-3.4*",
        shows: "transport error",
        reason: "3.4.23 ends with a panic: no gateway may hand such a request on",
    },
    Difference {
        case: "watch_create::a_negative_start_is_refused",
        target: "etcd-3.4*",
        shows: "shape: got (true, false, 0, 0)",
        reason: "taken for \"now\" until 3.4.38, 3.5.24 and 3.6.6",
    },
    Difference {
        case: "watch_history::a_deletion_at_the_compaction_is_seen",
        target: "etcd-3.4*",
        shows: "no answer on the stream",
        reason: "the deletion is dropped with the compaction until 3.4.36 and 3.5.18 (etcd #19179)",
    },
];
