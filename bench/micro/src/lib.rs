//! Micro-benchmarks: the keyspace against the structures it could have been, and the log's codecs
//! against one another (`--bench compression`, decision 0006).
//!
//! The keyspace: run with `cargo bench -p meridian-bench-micro --bench keyspace` (or `keyspace_mimalloc`), with
//! `-- --keys N` for another number than a million. Each structure is measured in a process of its
//! own, so that resident memory is its own. Decision 0001 holds the numbers. It knows no network
//! and no protocol.

pub mod compression;
pub mod data;
pub mod objects;
pub mod runner;
pub mod subject;
