//! The rules of the layout, as data: each with its reason.
//!
//! Owns every name a rule speaks of; architecture.md section 3 and style.md are where they come from. A new
//! edge between rooms is one line here and its own commit. How a rule is checked is not known here.

/// Which of our crates a room may depend on, in any kind of dependency.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Allowed {
    /// Every one: it assembles, tests or measures them.
    All,
    /// Just these.
    Only(&'static [&'static str]),
}

/// A room and its edges.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// The crate.
    pub(crate) name: &'static str,
    /// Its edges.
    pub(crate) allowed: Allowed,
    /// Why these.
    pub(crate) reason: &'static str,
}

const fn room(name: &'static str, allowed: Allowed, reason: &'static str) -> Room {
    Room {
        name,
        allowed,
        reason,
    }
}

const ETCD_API: &str = "meridian-etcd-api";
const ENGINE: &str = "meridian-engine";
const HOME: &str = "meridian-home";
const KEYSPACE: &str = "meridian-keyspace";
const REVLOG: &str = "meridian-revlog";
const RUNTIME: &str = "meridian-runtime";

const CARRIER: Allowed = Allowed::Only(&[REVLOG, HOME, KEYSPACE, RUNTIME]);
const DOOR: Allowed = Allowed::Only(&[ENGINE, RUNTIME]);
const NONE: Allowed = Allowed::Only(&[]);

/// Every room there is or will be. A crate without a row is a finding.
pub(crate) const ROOMS: &[Room] = &[
    room(
        "meridian-conf",
        NONE,
        "configuration is plain values; rooms are given theirs by cli",
    ),
    room(ETCD_API, NONE, "the wire contract stands alone"),
    room(KEYSPACE, NONE, "MVCC is pure"),
    room(
        RUNTIME,
        NONE,
        "tasks, time and telemetry serve every room and know none",
    ),
    room(
        REVLOG,
        Allowed::Only(&[KEYSPACE]),
        "the log carries revisions of the keyspace, nothing else",
    ),
    room(
        HOME,
        Allowed::Only(&[ETCD_API, KEYSPACE, RUNTIME]),
        "a home answers calls; who forwards them is not its concern",
    ),
    room(
        ENGINE,
        Allowed::Only(&[KEYSPACE, REVLOG, HOME, RUNTIME]),
        "the engine knows no client protocol and no transport between regions",
    ),
    room(
        "meridian-door-etcd",
        Allowed::Only(&[ENGINE, RUNTIME, ETCD_API, HOME, KEYSPACE]),
        "a door speaks with clients and the engine, never with another door; home and keyspace for their types",
    ),
    room(
        "meridian-door-consul",
        DOOR,
        "a door speaks with clients and the engine, never with another door",
    ),
    room(
        "meridian-door-zookeeper",
        DOOR,
        "a door speaks with clients and the engine, never with another door",
    ),
    room(
        "meridian-delegate",
        CARRIER,
        "gateway, delegate and mirror never import one another: cli plugs them together",
    ),
    room(
        "meridian-mirror",
        CARRIER,
        "gateway, delegate and mirror never import one another: cli plugs them together",
    ),
    room("meridian-cli", Allowed::All, "the one assembler"),
    room("meridian-tests", Allowed::All, "tests see everything"),
    room("meridian-load", Allowed::All, "benchmarks see everything"),
    room(
        "meridian-bench-micro",
        Allowed::All,
        "benchmarks see everything",
    ),
    room(
        "meridian-xtask",
        NONE,
        "the automation builds when nothing else does",
    ),
];

/// Crates of others that only some rooms may name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fence {
    /// The fenced crates.
    pub(crate) crates: &'static [&'static str],
    /// The rooms that may name them.
    pub(crate) rooms: &'static [&'static str],
    /// Why only these.
    pub(crate) reason: &'static str,
}

/// The fences.
pub(crate) const FENCES: &[Fence] = &[
    Fence {
        crates: &["quinn", "quinn-proto", "s2n-quic"],
        rooms: &["meridian-delegate"],
        reason: "all QUIC is in the delegate",
    },
    Fence {
        crates: &["quinn-udp"],
        rooms: &["meridian-delegate", "meridian-tests"],
        reason: "all QUIC is in the delegate; the WAN emulator carries its datagrams in trains",
    },
    Fence {
        crates: &["anyhow"],
        rooms: &[
            "meridian-cli",
            "meridian-tests",
            "meridian-load",
            "meridian-bench-micro",
            "meridian-xtask",
        ],
        reason: "an error that leaves a room has a type: kind, blame, retry",
    },
];

/// A package no build of ours may contain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Banned {
    /// The package.
    pub(crate) package: &'static str,
    /// What to use.
    pub(crate) instead: &'static str,
}

/// The banned packages.
pub(crate) const BANNED: &[Banned] = &[
    Banned {
        package: "ring",
        instead: "aws-lc-rs, the one provider; choose that feature of the crate that pulls it in",
    },
    Banned {
        package: "openssl-sys",
        instead: "rustls with aws-lc-rs; nothing of the system is linked",
    },
];

/// Folders of pure code, and words that have no place there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pure {
    /// The folder, from the root, with a slash at its end.
    pub(crate) folder: &'static str,
    /// The words.
    pub(crate) words: &'static [&'static str],
}

const IMPURE: &[&str] = &[
    "tokio",
    "rand",
    "fastrand",
    "Instant",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
];

/// What pure code does instead.
pub(crate) const PURE_INSTEAD: &str =
    "time, chance and bytes given in by the caller (a machine never knows a clock or a socket)";

/// The pure folders.
pub(crate) const PURE: &[Pure] = &[
    Pure {
        folder: "crates/keyspace/",
        words: IMPURE,
    },
    Pure {
        folder: "crates/revlog/",
        words: IMPURE,
    },
    Pure {
        folder: "delegate/src/machine/",
        words: IMPURE,
    },
];

/// Names that say nothing, for folders and modules; plurals too.
pub(crate) const NAMELESS: &[&str] = &["util", "common", "helper", "misc", "manager"];

/// Marks of unfinished work, which need an owner: written apart, so that this file has none itself.
pub(crate) const MARKS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// Package fields that come from the root manifest.
pub(crate) const INHERITED: &[&str] = &["version", "edition", "rust-version", "license", "publish"];
