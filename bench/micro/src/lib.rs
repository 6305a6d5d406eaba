//! Micro-benchmarks of the keyspace against the structures it could have been.
//!
//! Run with `cargo bench -p meridian-bench-micro --bench keyspace` (or `keyspace_mimalloc`), with
//! `-- --keys N` for another number than a million. Each structure is measured in a process of its
//! own, so that resident memory is its own. Decision 0001 holds the numbers. It knows no network
//! and no protocol.

pub mod data;
pub mod runner;
pub mod subject;
