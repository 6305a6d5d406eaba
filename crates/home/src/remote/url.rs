//! The address of an endpoint, as an operator writes it.
//!
//! Invariant: an [`EndpointUrl`] has a scheme, a host and a port, and nothing else. Resolves no
//! name and opens no connection.

use std::{fmt, str::FromStr};

use http::Uri;

/// `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointUrl {
    text: String,
    scheme: Scheme,
    host: String,
    port: u16,
}

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP/2.
    Http,
    /// HTTP/2 over TLS.
    Https,
}

/// Why a text is no endpoint, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {text:?} {reason}; write it as {example}")]
pub struct UrlError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// One that would be right.
    pub example: String,
}

impl EndpointUrl {
    /// As configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it wants TLS.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The name or address to connect to; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Scheme and authority, for a request.
    pub fn origin(&self) -> Uri {
        let authority = if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        };
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        Uri::builder()
            .scheme(scheme)
            .authority(authority)
            .path_and_query("/")
            .build()
            .expect("host and port came out of a parsed authority")
    }
}

impl FromStr for EndpointUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Scheme::Http, rest),
            Some(("https", rest)) => (Scheme::Https, rest),
            Some(_) => return Err(refuse(text, "has a scheme that is not http or https")),
            None => return Err(refuse(text, "has no scheme")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(refuse(text, "has a path, which an etcd endpoint has not"));
        }
        if authority.contains('@') {
            return Err(refuse(
                text,
                "has a user, which etcd takes by its own Authenticate call",
            ));
        }
        let parsed: http::uri::Authority = authority
            .parse()
            .map_err(|_| refuse(text, "has no valid host and port"))?;
        let port = parsed.port_u16().filter(|port| *port != 0);
        let port = port.ok_or_else(|| refuse(text, "has no port"))?;
        let host = parsed
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() {
            return Err(refuse(text, "has no host"));
        }
        Ok(Self {
            text: text.to_owned(),
            scheme,
            host,
            port,
        })
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn refuse(text: &str, reason: &'static str) -> UrlError {
    UrlError {
        text: text.to_owned(),
        reason,
        example: example(text),
    }
}

/// The text mended where that is plain, else a model.
fn example(text: &str) -> String {
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.split(['/', '?', '#']).next().unwrap_or_default();
    let bare = bare.rsplit('@').next().unwrap_or_default();
    let scheme = if text.starts_with("https://") {
        "https"
    } else {
        "http"
    };
    let mended = [
        format!("{scheme}://{bare}"),
        format!("{scheme}://{bare}:2379"),
    ];
    let is_right = |url: &&String| {
        url.parse::<http::Uri>()
            .is_ok_and(|u| u.port_u16().is_some())
    };
    mended
        .iter()
        .find(is_right)
        .cloned()
        .unwrap_or_else(|| "http://127.0.0.1:2379".to_owned())
}

#[cfg(test)]
mod tests;
