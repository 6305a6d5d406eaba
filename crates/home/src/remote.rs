//! A stock etcd cluster as a home.
//!
//! Owns the connections to its endpoints, the choice between them, and the rule by which a call is
//! sent again. Invariants: a call of which a byte may have reached the home is sent again only if
//! it leaves nothing behind; messages and metadata pass untouched. It caches no answer and knows
//! no client.

mod attempt;
pub mod bounds;
mod channel;
pub mod codec;
mod dial;
mod endpoint;
mod exchange;
mod fault;
mod follow;
mod headers;
mod keeper;
mod metrics;
mod pages;
mod pool;
mod probe;
mod streams;
pub mod url;
pub mod version;
mod watch;
mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use meridian_keyspace::{KeyRange, Revision};
use meridian_runtime::{
    TaskGroup,
    tls::{self, Identity, ReloadableClient, TlsError},
};

pub use codec::RawCodec;
pub use url::{EndpointUrl, Scheme, UrlError};
pub use version::Version;

use crate::{
    Call, CallError, Commits, Description, Facts, FollowError, Home, RangeChanges, Replies, Reply,
    Snapshot, StreamCall,
};
use dial::Dialer;
use endpoint::Endpoint;
use keeper::Keeper;
use pool::Pool;

/// Connections per endpoint by default: two, so that a large answer on one leaves the other free.
pub const CONNECTIONS: usize = 2;

/// Which etcd cluster, and how to reach it.
#[derive(Clone, Debug)]
pub struct RemoteConfig {
    /// `http://host:port` or `https://host:port`, one for each member that may be asked.
    pub endpoints: Vec<String>,
    /// For `https` endpoints; without it, the system's authorities are trusted and no certificate
    /// is shown.
    pub tls: Option<RemoteTls>,
    /// How long an ordinary call may take when its client names no deadline, and how long any call
    /// waits for a connection; [`bounds::CALL_TIMEOUT`] unless there is a reason.
    pub call_timeout: Duration,
    /// HTTP/2 connections to each endpoint; [`CONNECTIONS`] unless there is a reason.
    pub connections: usize,
}

impl RemoteConfig {
    /// These endpoints, with all else as it usually is.
    pub fn of<I>(endpoints: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            tls: None,
            call_timeout: bounds::CALL_TIMEOUT,
            connections: CONNECTIONS,
        }
    }
}

/// Transport security towards the home.
#[derive(Clone, Debug, Default)]
pub struct RemoteTls {
    /// The authorities to trust, PEM; the system's if absent.
    pub ca: Option<PathBuf>,
    /// The certificate to show, if the home wants one. etcd takes its common name for a user name
    /// when `--client-cert-auth` meets authentication, so it should have none.
    pub identity: Option<Identity>,
}

/// Why a configuration describes no home.
#[derive(Debug, thiserror::Error)]
pub enum RemoteConfigError {
    /// There is nothing to connect to.
    #[error("no endpoints are given; name at least one, such as http://127.0.0.1:2379")]
    NoEndpoints,
    /// An endpoint is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// An `https` endpoint's host is no name that a certificate could carry.
    #[error("endpoint {url}: its host is neither a DNS name nor an address")]
    ServerName {
        /// The endpoint.
        url: EndpointUrl,
    },
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A stock etcd cluster.
pub struct RemoteHome {
    pool: Arc<Pool>,
    tasks: TaskGroup,
    call_timeout: Duration,
}

impl RemoteHome {
    /// Begins to connect, under `tasks`; returns at once.
    ///
    /// # Errors
    /// [`RemoteConfigError`] if the configuration cannot describe a home; that no endpoint answers
    /// is no error, calls wait for one.
    pub fn connect(
        config: RemoteConfig,
        tasks: &TaskGroup,
    ) -> Result<Arc<Self>, RemoteConfigError> {
        let RemoteConfig {
            endpoints,
            tls,
            call_timeout,
            connections,
        } = config;
        let dialers = dialers(&endpoints, tls)?;
        metrics::describe();
        let endpoints = dialers
            .iter()
            .map(|(url, _)| Endpoint::new(url.clone(), connections));
        let pool = Arc::new(Pool::new(endpoints.map(Arc::new).collect()));
        let tasks = tasks.child("home");
        for (endpoint, (_, dialer)) in pool.endpoints().iter().zip(&dialers) {
            for place in 0..endpoint.connections() {
                let (pool, endpoint, dialer) = (pool.clone(), endpoint.clone(), dialer.clone());
                let keeper = Keeper {
                    pool,
                    endpoint,
                    place,
                    dialer,
                };
                tasks.spawn_permanent("connection", keeper.run(tasks.token()));
            }
        }
        Ok(Arc::new(Self {
            pool,
            tasks,
            call_timeout,
        }))
    }
}

/// A dialer for each endpoint.
fn dialers(
    endpoints: &[String],
    tls: Option<RemoteTls>,
) -> Result<Vec<(EndpointUrl, Dialer)>, RemoteConfigError> {
    if endpoints.is_empty() {
        return Err(RemoteConfigError::NoEndpoints);
    }
    let urls = endpoints.iter().map(|text| text.parse());
    let urls = urls.collect::<Result<Vec<EndpointUrl>, UrlError>>()?;
    let tls = client_tls(&urls, tls)?;
    let dialer = |url: EndpointUrl| match Dialer::new(url.clone(), tls.clone()) {
        Ok(dialer) => Ok((url, dialer)),
        Err(_) => Err(RemoteConfigError::ServerName { url }),
    };
    urls.into_iter().map(dialer).collect()
}

/// Reads certificates only if some endpoint wants TLS.
fn client_tls(
    urls: &[EndpointUrl],
    tls: Option<RemoteTls>,
) -> Result<Option<Arc<ReloadableClient>>, TlsError> {
    if urls.iter().all(|url| url.scheme() == Scheme::Http) {
        return Ok(None);
    }
    let RemoteTls { ca, identity } = tls.unwrap_or_default();
    Ok(Some(Arc::new(tls::client_config(ca.as_deref(), identity)?)))
}

#[async_trait]
impl Home for RemoteHome {
    fn describe(&self) -> Description {
        let endpoints = self.pool.endpoints();
        let lowest = endpoints
            .iter()
            .filter_map(|e| e.version())
            .min_by_key(|(v, _)| *v);
        Description {
            kind: "etcd",
            replicated: true,
            version: lowest.map(|(_, text)| text),
            endpoints: endpoints.iter().map(|e| e.status()).collect(),
        }
    }

    async fn unary(&self, call: Call) -> Result<Reply, CallError> {
        exchange::unary(&self.pool, call, self.call_timeout).await
    }

    async fn stream(&self, call: StreamCall) -> Result<Replies, CallError> {
        streams::open(&self.pool, call, self.call_timeout).await
    }

    async fn read_index(&self) -> Result<Facts, CallError> {
        probe::read_index(&self.pool).await
    }

    async fn snapshot(&self) -> Result<Snapshot, CallError> {
        pages::snapshot(&self.pool, &self.tasks, self.call_timeout).await
    }

    async fn follow(&self, from: Revision) -> Result<Commits, FollowError> {
        follow::follow(&self.pool, from, self.call_timeout).await
    }

    async fn follow_range(
        &self,
        range: KeyRange,
        from: Revision,
    ) -> Result<RangeChanges, FollowError> {
        follow::follow_range(&self.pool, range, from, self.call_timeout).await
    }

    async fn auth_enabled(&self) -> Result<bool, CallError> {
        probe::auth_enabled(&self.pool, self.call_timeout).await
    }
}

#[cfg(test)]
mod tests;
