//! The remote home against real etcd: one member and three, of every version that is here.
//!
//! etcd is looked for in PATH and in /opt/etcd/*/; without any, each test says so and passes.
//! `cargo test -p meridian-home --test remote_etcd -- --ignored --nocapture` measures a bootstrap.

mod remote_etcd {
    mod cluster;
    mod etcd;
    mod measure;
    mod single;
}
