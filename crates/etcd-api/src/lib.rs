//! etcd's client contract as Rust: its messages, its methods, its errors and its JSON form.
//!
//! Owns the wire facts and nothing else: it opens no connection, holds no state and decides nothing.
//! The `.proto` files in `proto/` carry etcd's names and numbers through 3.7; every `bytes` field is a
//! [`bytes::Bytes`], so a decoded message shares the buffer it came in.

mod table;

pub mod error;
pub mod method;
pub mod transcode;

pub use error::EtcdError;
pub use method::{Effect, Method, Shape};
pub use transcode::{DecodeError, Dialect, JsonError, request_from_json, response_to_json};

/// Declares one generated package: messages, clients, and their serde form.
macro_rules! package {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[allow(
            missing_docs,
            unreachable_pub,
            rust_2018_idioms,
            clippy::all,
            clippy::unwrap_used,
            reason = "generated code"
        )]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".serde.rs"));
        }
    };
}

package!(
    /// Key-values and events.
    mvccpb
);
package!(
    /// Users, roles, permissions.
    authpb
);
package!(
    /// The KV, Watch, Lease, Cluster, Maintenance and Auth services.
    etcdserverpb
);
package!(
    /// The Lock service.
    v3lockpb
);
package!(
    /// The Election service.
    v3electionpb
);
