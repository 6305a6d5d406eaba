//! Tells which values the environment set, and under which path.

use config::{Value, ValueKind};

/// What [`config`] calls the origin of a value from the environment.
const ENVIRONMENT: &str = "the environment";

/// Whether the environment set this one value.
pub(super) fn is_environment(value: &Value) -> bool {
    value.origin() == Some(ENVIRONMENT)
}

/// Whether the environment set all there is.
pub(super) fn comes_from_environment(value: &Value) -> bool {
    match &value.kind {
        // A table has no origin of its own; name the environment if it made all of it.
        ValueKind::Table(table) => !table.is_empty() && table.values().all(comes_from_environment),
        _ => is_environment(value),
    }
}

/// The path down to the first value that the environment sets.
pub(super) fn first_from_environment(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::Table(table) => {
            let mut below: Vec<String> = table
                .iter()
                .filter_map(|(key, value)| {
                    let below = first_from_environment(value)?;
                    Some(match below.is_empty() {
                        true => key.clone(),
                        false => format!("{key}.{below}"),
                    })
                })
                .collect();
            below.sort();
            below.into_iter().next()
        }
        _ => comes_from_environment(value).then(String::new),
    }
}

/// The path down to the first value, so that the variable that set it can be named.
pub(super) fn whole_path(key: &str, value: &Value) -> String {
    match &value.kind {
        ValueKind::Table(table) => match table.iter().min_by_key(|(inner, _)| *inner) {
            Some((inner, value)) => format!("{key}.{}", whole_path(inner, value)),
            None => key.to_owned(),
        },
        _ => key.to_owned(),
    }
}
