//! The reviewed list: where a target is known to break a rule, how that shows, and why it stays so.
//!
//! An entry whose difference is gone fails the run.

use meridian_tests::suite::Difference;

/// Our choice: a client sees whose answer it holds, and no forwarded byte is touched.
const MEMBER: &str = "the member id says who answered: the home's for what was forwarded untouched, the gateway's for \
                      what it answered itself";

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
    Difference {
        case: "json::url_safe_base64_is_taken",
        target: "etcd-3.4*",
        shows: "illegal base64 data",
        reason: "only padded standard base64 until grpc-gateway v2 (3.6)",
    },
    Difference {
        case: "json::base64_without_padding_is_taken",
        target: "etcd-3.4*",
        shows: "illegal base64 data",
        reason: "only padded standard base64 until grpc-gateway v2 (3.6)",
    },
    Difference {
        case: "json_refused::get_is_not_allowed",
        target: "etcd-3.4*",
        shows: "Method Not Allowed",
        reason: "plain text and 405 until grpc-gateway v2 (3.6)",
    },
    Difference {
        case: "json::an_unknown_enum_name",
        target: "etcd-3.4*",
        shows: "unknown value",
        reason: "refused until grpc-gateway v2 (3.6)",
    },
    Difference {
        case: "json_refused::a_failed_precondition_is_bad_request",
        target: "etcd-3.4*",
        shows: "status: got 412",
        reason: "412 until grpc-gateway v2 (3.6)",
    },
    Difference {
        case: "json_refused::an_unknown_route_is_not_found",
        target: "etcd-3.4*",
        shows: "Not Found",
        reason: "plain text until grpc-gateway v2 (3.6)",
    },
    Difference {
        case: "http::readiness_probes_are_served",
        target: "etcd-3.4*",
        shows: "404",
        reason: "since 3.4.29, 3.5.11 and 3.6",
    },
    Difference {
        case: "auth::disabled_is_the_beginning",
        target: "etcd-3.4*",
        shows: "invalid auth token",
        reason: "3.4.23 looks at tokens even while authentication is disabled",
    },
    Difference {
        case: "auth::the_status_says_disabled",
        target: "etcd-3.4*",
        shows: "unknown method AuthStatus",
        reason: "AuthStatus came with 3.5",
    },
    Difference {
        case: "auth::the_status_says_disabled",
        target: "gateway-3.4*",
        shows: "unknown method AuthStatus",
        reason: "forwarded, and the home does not know it: AuthStatus came with 3.5",
    },
    Difference {
        case: "json_refused::get_is_not_allowed",
        target: "gateway-3.4*",
        shows: "Method Not Allowed",
        reason: "the JSON dialect is the home's: plain text and 405 before 3.6",
    },
    Difference {
        case: "json_refused::an_unknown_route_is_not_found",
        target: "gateway-3.4*",
        shows: "Not Found",
        reason: "the JSON dialect is the home's: plain text before 3.6",
    },
    Difference {
        case: "json_refused::a_failed_precondition_is_bad_request",
        target: "gateway-3.4*",
        shows: "status: got 412",
        reason: "the JSON dialect is the home's: 412 before 3.6",
    },
    Difference {
        case: "json::url_safe_base64_is_taken",
        target: "gateway-3.4*",
        shows: "not standard base64",
        reason: "the JSON dialect is the home's: only padded standard base64 before 3.6",
    },
    Difference {
        case: "json::base64_without_padding_is_taken",
        target: "gateway-3.4*",
        shows: "not standard base64",
        reason: "the JSON dialect is the home's: only padded standard base64 before 3.6",
    },
    Difference {
        case: "json::an_unknown_enum_name",
        target: "gateway-3.4*",
        shows: "unknown variant",
        reason: "the JSON dialect is the home's: refused before 3.6",
    },
    Difference {
        case: "http::readiness_probes_are_served",
        target: "gateway-3.4*",
        shows: "404",
        reason: "what the home does not have is not there: since 3.4.29, 3.5.11 and 3.6",
    },
    Difference {
        case: "auth::enabling_without_root_is_refused",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "auth::without_a_token_nothing_is_told",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "auth::a_token_opens_what_its_roles_open",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "auth::watches_are_checked_when_created",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "auth::enabled_at_the_home_is_enabled_here",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "auth::disabled_again_all_is_open",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "auth::json_calls_carry_tokens",
        target: "dev-*",
        shows: "users, roles and permissions are not kept",
        reason: "the embedded home is for development and keeps no users",
    },
    Difference {
        case: "maintenance::a_snapshot_comes_whole",
        target: "dev-*",
        shows: "it has no etcd snapshot",
        reason: "the embedded home is no etcd: its directory is its backup",
    },
    Difference {
        case: "maintenance::no_space_refuses_puts_and_lets_deletes_through",
        target: "dev-*",
        shows: "alarms are not kept",
        reason: "the embedded home has no quota and so no alarm",
    },
    Difference {
        case: "headers::the_member_is_one_per_connection",
        target: "gateway-*",
        shows: "members that answered: got 2, want 1",
        reason: MEMBER,
    },
    Difference {
        case: "keepalive::the_member_is_that_of_writes",
        target: "gateway-*",
        shows: "another member answers keepalives than writes",
        reason: MEMBER,
    },
    Difference {
        case: "headers::the_member_is_one_per_connection",
        target: "region-*",
        shows: "members that answered: got 2, want 1",
        reason: MEMBER,
    },
    Difference {
        case: "keepalive::the_member_is_that_of_writes",
        target: "region-*",
        shows: "another member answers keepalives than writes",
        reason: MEMBER,
    },
    Difference {
        case: "headers::the_member_is_one_per_connection",
        target: "dev-*",
        shows: "members that answered: got 2, want 1",
        reason: MEMBER,
    },
    Difference {
        case: "keepalive::the_member_is_that_of_writes",
        target: "dev-*",
        shows: "another member answers keepalives than writes",
        reason: MEMBER,
    },
];
