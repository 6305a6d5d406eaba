//! A client URL: scheme, host and port, and nothing else.
//!
//! Invariant: printing and parsing agree. It resolves no name.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use serde::{Serialize, Serializer};

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
    /// A name or an address; an IPv6 address without its brackets.
    host: String,
    port: u16,
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
        &self.host
    }

    /// Its port, never 0.
    pub fn port(&self) -> u16 {
        self.port
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
        let (host, port) = split_port(authority)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(EndpointError::Port)?;
        Ok(Self { scheme, host, port })
    }
}

/// The host (checked, in lower case) and the text of the port.
fn split_port(authority: &str) -> Result<(String, &str), EndpointError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(EndpointError::Host)?;
        let host: Ipv6Addr = host.parse().map_err(|_| EndpointError::Host)?;
        return Ok((
            host.to_string(),
            port.strip_prefix(':').ok_or(EndpointError::Port)?,
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => (authority, ""),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(allowed) {
        return Err(EndpointError::Host);
    }
    Ok((host.to_ascii_lowercase(), port))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
