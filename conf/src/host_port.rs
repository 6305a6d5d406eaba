//! A host and a port, as in `hub-1.us.example.org:7379`, and nothing else.
//!
//! Invariant: printing and parsing agree. It resolves no name.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use serde::{Serialize, Serializer};

/// Where something is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    host: String,
    port: u16,
}

/// Why a text is no host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPortError {
    /// `https://host:port`.
    #[error("has a scheme")]
    Scheme,
    /// No host, or characters no host has.
    #[error("has no usable host")]
    Host,
    /// No port, or none from 1 to 65535.
    #[error("has no port from 1 to 65535")]
    Port,
}

impl HostPort {
    /// A name or an address, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Never 0.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        if text.contains("://") {
            return Err(HostPortError::Scheme);
        }
        let (host, port) = split(text)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(HostPortError::Port)?;
        Ok(Self { host, port })
    }
}

/// The host (checked, in lower case) and the text of the port.
fn split(text: &str) -> Result<(String, &str), HostPortError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(HostPortError::Host)?;
        let host: Ipv6Addr = host.parse().map_err(|_| HostPortError::Host)?;
        return Ok((
            host.to_string(),
            port.strip_prefix(':').ok_or(HostPortError::Port)?,
        ));
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.is_empty() || !host.chars().all(allowed) {
        return Err(HostPortError::Host);
    }
    Ok((host.to_ascii_lowercase(), port))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
