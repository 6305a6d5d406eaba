//! The test harness: real etcd clusters, gateways and a bad network, all on 127.0.0.1.
//!
//! Owns the processes it starts (each dies with its handle), the raw client the tests speak with, the
//! runner of the conformance suite and the checkers of histories. It knows etcd's contract and how to
//! start a `meridian`; it knows nothing of how a gateway works inside.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test tells what it saw"
)]

pub mod ask;
pub mod campaign;
pub mod client;
pub mod cluster;
pub mod conversation;
pub mod expect;
pub mod gateway;
pub mod generate;
pub mod linearize;
pub mod link;
pub mod namespaces;
pub mod pki;
pub mod plain_http;
pub mod ports;
pub mod process;
pub mod regions;
pub mod release;
pub mod suite;
pub mod target;
pub mod wait;
pub mod wan;
pub mod watching;
