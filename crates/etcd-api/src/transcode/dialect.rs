//! What a request may look like, by etcd's version, brought into the one form that pbjson reads.
//!
//! Measured on 3.4.23 and 3.6.16. Owns the tables of `bytes` and enum fields; a test holds them against
//! the protos.

use base64::{
    Engine as _, alphabet,
    engine::general_purpose::{
        GeneralPurpose, GeneralPurposeConfig, NO_PAD, PAD, STANDARD as CANONICAL,
    },
};
use serde_json::Value;

use super::JsonError;
use crate::{
    authpb::permission::Type as PermissionType,
    etcdserverpb::{
        AlarmType,
        alarm_request::AlarmAction,
        compare::{CompareResult, CompareTarget},
        downgrade_request::DowngradeAction,
        range_request::{SortOrder, SortTarget},
        watch_create_request::FilterType,
    },
    method::Method,
};

/// How an etcd reads JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Before 3.6 (grpc-gateway 1): base64 is standard and padded, line breaks in it are ignored; an enum
    /// name that does not exist is refused.
    Strict,
    /// Since 3.6 (grpc-gateway 2, protojson): base64 may also be URL-safe and without padding; an enum name
    /// that does not exist counts as if it were not there.
    Lenient,
}

/// Brings a body into the form that pbjson reads. Recursion is bounded by serde_json, which parses 128
/// levels at most.
///
/// # Errors
/// Bytes that are not base64 as the dialect has it.
pub(super) fn normalize(
    value: &mut Value,
    method: Method,
    dialect: Dialect,
) -> Result<(), JsonError> {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, value| !value.is_null() && counts(value, name, method, dialect));
            for (name, value) in fields {
                let outcome = match value {
                    Value::String(text) if bytes_fields(method).contains(&name.as_str()) => {
                        canonicalize(text, dialect)
                    }
                    _ => normalize(value, method, dialect),
                };
                outcome.map_err(|error| error.within(name))?;
            }
            Ok(())
        }
        Value::Array(items) => {
            for (index, value) in items.iter_mut().enumerate() {
                normalize(value, method, dialect)
                    .map_err(|error| error.within(&format!("[{index}]")))?;
            }
            Ok(())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Names of the `bytes` fields in a method's request, in both spellings. A name means one thing within
/// one service, so the table need not know messages.
pub(super) fn bytes_fields(method: Method) -> &'static [&'static str] {
    match method {
        Method::LockLock
        | Method::LockUnlock
        | Method::ElectionCampaign
        | Method::ElectionProclaim
        | Method::ElectionLeader
        | Method::ElectionObserve
        | Method::ElectionResign => &["key", "name", "value"],
        _ => &["key", "range_end", "rangeEnd", "value"],
    }
}

/// Whether a field counts; of a list, takes out the items that do not.
fn counts(value: &mut Value, field: &str, method: Method, dialect: Dialect) -> bool {
    let exists = match (dialect, names(method, field)) {
        (Dialect::Strict, _) | (Dialect::Lenient, None) => return true,
        (Dialect::Lenient, Some(exists)) => exists,
    };
    let item_counts = |value: &Value| value.as_str().is_none_or(exists);
    if let Value::Array(items) = value {
        items.retain(item_counts);
        return true;
    }
    item_counts(value)
}

/// Of an enum field in a method's request, in both spellings: whether its enum has a name.
pub(super) fn names(method: Method, field: &str) -> Option<fn(&str) -> bool> {
    Some(match field {
        "sort_order" | "sortOrder" => |name| SortOrder::from_str_name(name).is_some(),
        "sort_target" | "sortTarget" => |name| SortTarget::from_str_name(name).is_some(),
        "result" => |name| CompareResult::from_str_name(name).is_some(),
        "target" => |name| CompareTarget::from_str_name(name).is_some(),
        "filters" => |name| FilterType::from_str_name(name).is_some(),
        "permType" => |name| PermissionType::from_str_name(name).is_some(),
        "alarm" => |name| AlarmType::from_str_name(name).is_some(),
        "action" if method == Method::MaintenanceDowngrade => {
            |name| DowngradeAction::from_str_name(name).is_some()
        }
        "action" => |name| AlarmAction::from_str_name(name).is_some(),
        _ => return None,
    })
}

/// Go's readings of base64: line breaks ignored, and no care for the bits that the last character has too
/// many. pbjson is wider in some ways and narrower in others, hence the detour.
fn canonicalize(text: &mut String, dialect: Dialect) -> Result<(), JsonError> {
    let (engine, wanted) = match dialect {
        Dialect::Strict => (STANDARD_PADDED, "standard base64 with padding"),
        Dialect::Lenient => (lenient(text), "base64"),
    };
    text.retain(|character| !matches!(character, '\r' | '\n'));
    let bytes = engine
        .decode(text.as_bytes())
        .map_err(|error| JsonError::new(format_args!("not {wanted}: {error}")))?;
    text.clear();
    CANONICAL.encode_string(bytes, text);
    Ok(())
}

/// protojson chooses by what it sees: URL-safe if it holds one of that alphabet's own characters, padded if
/// the length, line breaks included, is that of padded text.
fn lenient(text: &str) -> GeneralPurpose {
    let url_safe = text.contains(['-', '_']);
    let padded = text.len().is_multiple_of(4);
    match (url_safe, padded) {
        (false, true) => STANDARD_PADDED,
        (false, false) => STANDARD_BARE,
        (true, true) => URL_SAFE_PADDED,
        (true, false) => URL_SAFE_BARE,
    }
}

const PADDED: GeneralPurposeConfig = PAD.with_decode_allow_trailing_bits(true);
const BARE: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);
const STANDARD_PADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDED);
const STANDARD_BARE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BARE);
const URL_SAFE_PADDED: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDED);
const URL_SAFE_BARE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, BARE);
