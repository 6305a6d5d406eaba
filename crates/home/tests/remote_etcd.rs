//! The remote home against real etcd: one member and three, of every version that is here.
//!
//! etcd is looked for in PATH and in /opt/etcd/*/; without any, each test says so and passes.
//! `cargo test -p meridian-home --test remote_etcd -- --ignored --nocapture` measures a bootstrap.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may stop at a broken expectation, and says what it skipped or measured"
)]

mod remote_etcd {
    mod cluster;
    mod etcd;
    mod measure;
    mod single;
    mod tls;
}
