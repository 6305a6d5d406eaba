//! The configuration of a node: files, environment, defaults, checks.
//!
//! Owns the schema and the rule in which order layers win: defaults, then the file, then the
//! environment (`MERIDIAN__GATEWAY__ETCD__LISTEN=…`). Invariants: a [`Conf`] is whole and every
//! value in it is possible; whatever is wrong is reported all together, each problem with its path
//! and what would be right. It opens no port and knows no room: rooms take plain values.

mod endpoint;
mod host_port;
mod layers;
mod problem;
mod read;
mod schema;
mod section;
mod values;

pub use endpoint::{Endpoint, Scheme};
pub use host_port::{HostPort, HostPortError};
pub use layers::{LoadError, Surroundings, load, parse};
pub use problem::{Problem, Problems};
pub use schema::{
    Admin, Advertise, ClientTls, Conf, Congestion, Etcd, FilePair, Gateway, Home, Hub, Link,
    LinkWindow, Log, LogFormat, Node, Replica, Roles, ServerTls, Uplink,
};
pub use values::check_name;

#[cfg(test)]
mod tests;
