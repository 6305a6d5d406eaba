//! etcd's versions: their order, and the ones with faults that reach our users.
//!
//! Pure. Knows the faults by their issue numbers and the releases that mend them; not which
//! endpoint runs what.

use std::{fmt, str::FromStr};

/// `major.minor.patch` of an etcd release; a pre-release counts as its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

/// A text that is no etcd version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not of the form major.minor.patch")]
pub struct VersionError;

impl Version {
    /// That version.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// Whether both are of one `major.minor` line.
    const fn is_line_of(self, other: Self) -> bool {
        self.major == other.major && self.minor == other.minor
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let text = text.trim().trim_start_matches('v');
        let release = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers = release
            .split('.')
            .map(|n| n.parse::<u16>().map_err(|_| VersionError));
        let mut next = || numbers.next().unwrap_or(Err(VersionError));
        let version = Self::new(next()?, next()?, next()?);
        numbers
            .next()
            .is_none()
            .then_some(version)
            .ok_or(VersionError)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A fault of etcd, from its first release of each line on until the one that mends it.
struct Fault {
    what: &'static str,
    lines: &'static [(Version, Version)],
}

/// From the changelogs; per line the first faulty release and the first mended one.
const FAULTS: [Fault; 4] = [
    Fault {
        what: "progress notifications may overtake events (etcd issue 15220)",
        lines: &[
            (Version::new(3, 4, 0), Version::new(3, 4, 25)),
            (Version::new(3, 5, 0), Version::new(3, 5, 8)),
        ],
    },
    Fault {
        what: "idle watches get no progress notifications (etcd issue 17507)",
        lines: &[
            (Version::new(3, 4, 0), Version::new(3, 4, 31)),
            (Version::new(3, 5, 0), Version::new(3, 5, 13)),
        ],
    },
    Fault {
        what: "a watch from a future revision delivers older events (etcd issue 20221)",
        lines: &[
            (Version::new(3, 4, 0), Version::new(3, 4, 38)),
            (Version::new(3, 5, 0), Version::new(3, 5, 22)),
            (Version::new(3, 6, 0), Version::new(3, 6, 2)),
        ],
    },
    Fault {
        what: "linearizable reads may be stale after a process was paused (etcd issue 20418)",
        lines: &[
            (Version::new(3, 4, 20), Version::new(3, 4, 42)),
            (Version::new(3, 5, 0), Version::new(3, 5, 28)),
            (Version::new(3, 6, 0), Version::new(3, 6, 9)),
        ],
    },
];

/// The oldest line whose API Meridian speaks in full.
const OLDEST: Version = Version::new(3, 4, 0);

/// What an operator must know of an etcd of this version, with the release that mends all of it.
pub fn warning(version: Version) -> Option<String> {
    if version < OLDEST {
        return Some(format!(
            "etcd {version} is older than {OLDEST}, the oldest supported"
        ));
    }
    let mut faults = Vec::new();
    let mut mended = version;
    for fault in &FAULTS {
        for (first, fixed) in fault.lines {
            if version.is_line_of(*first) && (*first..*fixed).contains(&version) {
                faults.push(format!("{}, mended in {fixed}", fault.what));
                mended = mended.max(*fixed);
            }
        }
    }
    if faults.is_empty() {
        return None;
    }
    Some(format!(
        "etcd {version} has known faults: {}; upgrade to {mended}",
        faults.join("; ")
    ))
}

/// The releases from which on a watch's progress answers are in order with its events (issue
/// 15220) and not left out (issue 17507), per line; later lines are born well.
const PROGRESS_MENDED: [Version; 2] = [Version::new(3, 4, 31), Version::new(3, 5, 13)];

/// Whether a progress answer of this version proves that no event before it is owed.
pub fn progress_is_trusted(version: Version) -> bool {
    match PROGRESS_MENDED
        .iter()
        .find(|mended| version.is_line_of(**mended))
    {
        Some(mended) => version >= *mended,
        None => version > PROGRESS_MENDED[1],
    }
}

#[cfg(test)]
mod tests;
