//! The etcd door: etcd's v3 gRPC services and its JSON gateway on one port.
//!
//! Owns the wire: HTTP, gRPC framing, etcd's messages, errors and texts. Invariants: a stock etcd
//! client cannot tell this door from etcd but by the `meridian-` metadata; what is carried home is
//! carried with its bytes untouched; a connection never shows a revision and then, at the
//! serializable level, an older one. It decides nothing about freshness: the engine admits reads
//! and delivers watches.
//!
//! Of the metadata that name a read level (architecture, section 6), `meridian-min-revision` and
//! `meridian-max-staleness` replace both etcd's default and `serializable`; given both, a read
//! keeps to both.

mod authority;
mod body;
mod call;
mod cluster;
mod door;
mod failure;
mod forward;
mod frame;
mod grpc;
mod health;
mod json;
mod keepalive;
mod metadata;
mod metrics;
mod read;
mod stream;
mod txn;
mod unary;
mod watch;
mod wire;

pub use door::{DoorConfig, DoorHandle, DoorReader, serve};
pub use metrics::{DoorStatus, describe_metrics};

#[cfg(test)]
mod tests;
