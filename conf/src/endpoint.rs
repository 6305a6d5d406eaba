//! A client URL: scheme, host and port, and nothing else.
//!
//! Invariant: printing and parsing agree. It resolves no name.

use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::host_port::{HostPort, HostPortError};

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// It is not.
    Http,
    /// It is.
    Https,
}

/// A client URL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    at: HostPort,
}

/// Why a text is no client URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// `host:port` alone.
    #[error("has no scheme")]
    NoScheme,
    /// Neither `http` nor `https`.
    #[error("has an unknown scheme")]
    UnknownScheme,
    /// `user:password@host`.
    #[error("has credentials in it")]
    Credentials,
    /// Something after the port.
    #[error("has a path after the port")]
    Path,
    /// No host, or characters no host has.
    #[error("has no usable host")]
    Host,
    /// No port, or none from 1 to 65535.
    #[error("has no port from 1 to 65535")]
    Port,
}

impl Endpoint {
    /// Whether it is encrypted.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host: a name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        self.at.host()
    }

    /// Its port, never 0.
    pub fn port(&self) -> u16 {
        self.at.port()
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::NoScheme)?;
        let scheme = match scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(EndpointError::UnknownScheme),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(EndpointError::Path);
        }
        if authority.contains('@') {
            return Err(EndpointError::Credentials);
        }
        let at = authority.parse().map_err(|error| match error {
            // A scheme in the authority would be a second one: no host has a colon and slashes.
            HostPortError::Scheme | HostPortError::Host => EndpointError::Host,
            HostPortError::Port => EndpointError::Port,
        })?;
        Ok(Self { scheme, at })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.at)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
