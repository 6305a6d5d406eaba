//! What every room stands on: tasks and their stop order, levels to wait on, backoff, transport
//! security, the accept loop of a door, the admin port and the metrics recorder.
//!
//! Invariant: no task outlives its [`TaskGroup`], and every wait here has a deadline. It knows no
//! keyspace, no etcd and no configuration file: it takes plain values.

pub mod accept;
pub mod admin;
pub mod backoff;
pub mod level;
pub mod tasks;
pub mod telemetry;
pub mod tls;

pub use backoff::Backoff;
pub use level::{Level, NotReached};
pub use tasks::{Failure, FailureKind, StopReport, TaskGroup};
