//! Load for any etcd endpoint, and side-by-side runs of a gateway against its peers.
//!
//! The generator shares two cores with the servers it measures, so it speaks raw h2 with requests encoded
//! before the clock starts, reads of an answer nothing but its length and its grpc-status, and runs on one thread.
//! It knows etcd's wire contract and no room of ours: a gateway is one more endpoint and one more process.
#![doc = "Binaries: `meridian-load` (one endpoint) and `meridian-bench` (a whole comparison)."]

pub mod connection;
pub mod cost;
pub mod delay;
pub mod drive;
pub mod echo;
pub mod fan_out;
pub mod fields;
pub mod fill;
pub mod fleet;
pub mod gateway;
pub mod machine;
pub mod outcome;
pub mod pacer;
pub mod process;
pub mod relay;
pub mod report;
pub mod shape;
pub mod tell;
pub mod workload;
