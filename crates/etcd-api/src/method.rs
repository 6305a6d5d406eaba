//! The methods of etcd's client services: their gRPC paths, JSON routes, shape and effect.
//!
//! Knows names and facts only: not who serves a method, nor how. Every answer is a constant taken from
//! one table, so a path, a route or a variant can neither be forgotten nor stand twice.

use crate::table::method_table;

/// How many messages flow in each direction of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One request, one response.
    Unary,
    /// One request, any number of responses.
    ServerStream,
    /// Any number of both, interleaved.
    Bidi,
}

/// What a call may leave behind, which decides whether it may be sent again after an unknown outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: sending it again is safe.
    Read,
    /// It may change the home: its keys, leases, users, members or storage. Judged by method, not by
    /// message: a transaction of reads only, or `Alarm` with `GET`, counts as a write.
    Write,
    /// It changes no data but mints a token, so two sendings do not give one answer.
    Token,
}

macro_rules! define_method {
    ($($variant:ident $path:literal $shape:ident $effect:ident
        $request:path => $response:path [$($route:literal),*];)*) => {
        /// One method of the KV, Watch, Lease, Cluster, Maintenance, Auth, Lock or Election service.
        ///
        /// The name is the service's followed by the method's; where the method's own name begins with
        /// that of the service (`Lease/LeaseGrant`, `Auth/AuthEnable`) it stands once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = concat!("`", $path, "`")] $variant,)*
        }

        impl Method {
            /// Every method, in the order of the services and of their protos.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The gRPC path: `/package.Service/Method`.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self {
                    $(Self::$variant => $path,)*
                }
            }

            /// The method of a gRPC path, or `None` for a path that is not of these services.
            #[must_use]
            pub fn from_path(path: &str) -> Option<Self> {
                match path {
                    $($path => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// How many messages flow each way.
            #[must_use]
            pub const fn shape(self) -> Shape {
                match self {
                    $(Self::$variant => Shape::$shape,)*
                }
            }

            /// What the call may leave behind.
            #[must_use]
            pub const fn effect(self) -> Effect {
                match self {
                    $(Self::$variant => Effect::$effect,)*
                }
            }

            /// The JSON gateway's routes, all `POST`; the usual one first, then aliases.
            ///
            /// As in 3.5.1 and later. In 3.4 and 3.5.0 `HashKV` is bound to `/v3/maintenance/hash` too,
            /// and 3.4.23 answers there with `Hash`. 3.4 also serves every route under `/v3beta/`, by
            /// rewriting the prefix. `AuthStatus` and `Downgrade` came with 3.5; `RangeStream` has none.
            #[must_use]
            pub const fn http_routes(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($route),*],)*
                }
            }

            /// The method of a JSON route, given exactly: no query, no trailing slash.
            #[must_use]
            pub fn from_http_route(route: &str) -> Option<Self> {
                match route {
                    $($($route => Some(Self::$variant),)*)*
                    _ => None,
                }
            }
        }
    };
}

method_table!(define_method);

impl Method {
    /// Whether the call may change the home, see [`Effect::Write`].
    #[must_use]
    pub const fn is_write(self) -> bool {
        matches!(self.effect(), Effect::Write)
    }

    /// Whether the call may be sent again when its outcome is unknown.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        matches!(self.effect(), Effect::Read)
    }
}

#[cfg(test)]
mod tests;
