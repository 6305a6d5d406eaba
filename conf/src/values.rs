//! Parses single values into types that cannot be wrong.
//!
//! Each function says what is wrong and what would be right. Numbers in the environment are
//! texts; everywhere else a number is a number.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use config::ValueKind;

use crate::{
    endpoint::Endpoint,
    host_port::HostPort,
    schema::{Congestion, LogFormat},
    section::{Raw, Wrong, not_a},
};

/// A DNS label's length: names become labels of metrics and, one day, of DNS answers.
const NAME_CHARS_MAX: usize = 63;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

const RIGHT_LEVEL: &str = "give off, error, warn, info, debug or trace, or such per target: \"info,meridian_engine=debug\"";

fn text<'a>(raw: &'a Raw, right: &str) -> Result<&'a str, Wrong> {
    match &raw.kind {
        ValueKind::String(text) => Ok(text),
        other => Err(Wrong::new(not_a("a text", other), right)),
    }
}

const RIGHT_NAME: &str =
    "give 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or a digit";

/// Whether `text` can be the name of a node or of a region.
///
/// # Errors
/// What is wrong with it and what would be right, as a sentence whose subject is the name.
pub fn check_name(text: &str) -> Result<(), String> {
    match wrong_with_name(text) {
        None => Ok(()),
        Some(wrong) => Err(format!("{wrong}; {RIGHT_NAME}")),
    }
}

fn wrong_with_name(text: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if text.is_empty() {
        Some("is empty".to_owned())
    } else if text.len() > NAME_CHARS_MAX {
        Some(format!("is {} characters long", text.chars().count()))
    } else if let Some(bad) = text.chars().find(|c| !allowed(*c)) {
        Some(format!("{text:?} has {bad:?} in it"))
    } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some(format!("{text:?} begins with a punctuation mark"))
    } else {
        None
    }
}

pub(crate) fn name(raw: &Raw) -> Result<String, Wrong> {
    let text = text(raw, RIGHT_NAME)?;
    match wrong_with_name(text) {
        None => Ok(text.to_owned()),
        Some(wrong) => Err(Wrong::new(wrong, RIGHT_NAME)),
    }
}

pub(crate) fn address(raw: &Raw) -> Result<SocketAddr, Wrong> {
    const RIGHT: &str = "give ADDRESS:PORT, as in \"127.0.0.1:2379\" or \"[::]:2379\"";
    let text = text(raw, RIGHT)?;
    text.parse()
        .map_err(|_| Wrong::new(format!("{text:?} is not an IP address and a port"), RIGHT))
}

pub(crate) fn endpoint(raw: &Raw) -> Result<Endpoint, Wrong> {
    const RIGHT: &str =
        "give http://HOST:PORT or https://HOST:PORT, as in \"http://127.0.0.1:2379\"";
    let text = text(raw, RIGHT)?;
    text.parse().map_err(|error| {
        // What may hold a password is not repeated.
        let shown = if text.contains('@') {
            "the URL".to_owned()
        } else {
            format!("{text:?}")
        };
        Wrong::new(format!("{shown} {error}"), RIGHT)
    })
}

pub(crate) fn host_port(raw: &Raw) -> Result<HostPort, Wrong> {
    const RIGHT: &str = "give HOST:PORT, as in \"hub-1.us.example.org:7379\"";
    let text = text(raw, RIGHT)?;
    text.parse()
        .map_err(|error| Wrong::new(format!("{text:?} {error}"), RIGHT))
}

pub(crate) fn congestion(raw: &Raw) -> Result<Congestion, Wrong> {
    const RIGHT: &str = "give \"cubic\", \"bbr\" or \"newreno\"";
    match text(raw, RIGHT)? {
        "cubic" => Ok(Congestion::Cubic),
        "bbr" => Ok(Congestion::Bbr),
        "newreno" => Ok(Congestion::NewReno),
        other => Err(Wrong::new(
            format!("{other:?} is no congestion controller of ours"),
            RIGHT,
        )),
    }
}

/// A whole number from `least` to `most`.
pub(crate) fn count(raw: &Raw, least: u64, most: u64) -> Result<u64, Wrong> {
    let right = || format!("give a whole number from {least} to {most}");
    let out_of_range =
        |shown: &dyn std::fmt::Display| Wrong::new(format!("{shown} is out of range"), right());
    let number = match &raw.kind {
        ValueKind::I64(n) => u64::try_from(*n).map_err(|_| out_of_range(n))?,
        ValueKind::U64(n) => *n,
        ValueKind::String(text) if raw.from_environment => text
            .parse()
            .map_err(|_| Wrong::new(format!("{text:?} is not a whole number"), right()))?,
        other => return Err(Wrong::new(not_a("a whole number", other), right())),
    };
    match (least..=most).contains(&number) {
        true => Ok(number),
        false => Err(out_of_range(&number)),
    }
}

/// A duration from `least` to `most`.
pub(crate) fn duration(raw: &Raw, least: Duration, most: Duration) -> Result<Duration, Wrong> {
    let shown = humantime::format_duration;
    let right = format!(
        "give a duration from {} to {}, as in \"10s\"",
        shown(least),
        shown(most)
    );
    let text = text(raw, &right)?;
    let Ok(value) = humantime::parse_duration(text) else {
        return Err(Wrong::new(format!("{text:?} is not a duration"), right));
    };
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => Err(Wrong::new(format!("{text:?} is out of range"), right)),
    }
}

/// A file that is there and can be read; a relative path counts from `folder`.
pub(crate) fn file(raw: &Raw, folder: &Path) -> Result<PathBuf, Wrong> {
    const RIGHT: &str = "give the path of a PEM file that this user may read";
    let text = text(raw, RIGHT)?;
    if text.is_empty() {
        return Err(Wrong::new("is empty", RIGHT));
    }
    let path = folder.join(text);
    let opened = fs::File::open(&path).and_then(|file| file.metadata());
    match opened {
        Ok(found) if found.is_file() => Ok(path),
        Ok(_) => Err(Wrong::new(
            format!("{} is not a file", path.display()),
            RIGHT,
        )),
        Err(error) => Err(Wrong::new(
            format!("{} cannot be read ({error})", path.display()),
            RIGHT,
        )),
    }
}

pub(crate) fn log_format(raw: &Raw) -> Result<LogFormat, Wrong> {
    const RIGHT: &str = "give \"text\" or \"json\"";
    match text(raw, RIGHT)? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(Wrong::new(format!("{other:?} is not a log format"), RIGHT)),
    }
}

pub(crate) fn log_level(raw: &Raw) -> Result<String, Wrong> {
    let text = text(raw, RIGHT_LEVEL)?;
    for directive in text.split(',') {
        let (target, level) = match directive.split_once('=') {
            Some((target, level)) => (Some(target), level),
            None => (None, directive),
        };
        if target.is_some_and(|target| !is_target(target)) {
            let wrong = format!("{directive:?} names no log target");
            return Err(Wrong::new(wrong, RIGHT_LEVEL));
        }
        if !LEVELS.contains(&level) {
            return Err(Wrong::new(
                format!("{level:?} is not a log level"),
                RIGHT_LEVEL,
            ));
        }
    }
    Ok(text.to_owned())
}

fn is_target(target: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
    !target.is_empty() && target.chars().all(allowed)
}
