//! Opening one HTTP/2 connection to an endpoint, plain or over TLS.
//!
//! Owns the transport's settings. It neither repeats a dial nor judges what the endpoint is.

use std::{future::Future, io, sync::Arc};

use http::Uri;
use hyper::{
    client::conn::http2,
    rt::{Executor, Read, Write},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use meridian_runtime::tls::ReloadableClient;
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    bounds::{DIAL_TIMEOUT, PING_INTERVAL, PING_TIMEOUT},
    channel::{Channel, Client},
    url::{EndpointUrl, Scheme},
};

/// What one reply may have in flight: a page of a snapshot, or the bandwidth-delay product of
/// 1 Gbit/s over 120 ms (15 MB).
const STREAM_WINDOW_BYTES: u32 = 16 << 20;

/// What a connection may have in flight: two replies at full speed. Bounds what unread replies
/// hold in memory, with [`STREAM_WINDOW_BYTES`] for each.
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// Bytes of one frame: fewer, larger reads for pages and watch batches.
const FRAME_BYTES: u32 = 1 << 20;

/// Calls sent before the peer has said how many it takes; etcd takes any number.
const STREAMS_INITIAL: usize = 1000;

/// Why an endpoint cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// TCP said no.
    #[error("connect: {0}")]
    Connect(io::Error),
    /// TLS said no.
    #[error("TLS handshake: {0}")]
    Tls(io::Error),
    /// The other end is not speaking HTTP/2.
    #[error("HTTP/2 handshake: {0}")]
    Http2(hyper::Error),
    /// Nothing came in time.
    #[error("no connection within {} s", DIAL_TIMEOUT.as_secs())]
    TimedOut,
}

/// Where and how to connect.
#[derive(Clone)]
pub(super) struct Dialer {
    url: EndpointUrl,
    origin: Uri,
    tls: Option<(Arc<ReloadableClient>, ServerName<'static>)>,
}

/// A connection: the client for calls, and the future that moves its bytes.
pub(super) struct Dialed {
    pub(super) client: Client,
    pub(super) channel: Channel,
    pub(super) driver: Driver,
}

/// Moves a connection's calls until it ends; dropping it lets those under way finish.
pub(super) type Driver = std::pin::Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

impl Dialer {
    /// For one endpoint; `tls` is there exactly if the endpoint wants it.
    pub(super) fn new(
        url: EndpointUrl,
        tls: Option<Arc<ReloadableClient>>,
    ) -> Result<Self, rustls_pki_types::InvalidDnsNameError> {
        let tls = match (url.scheme(), tls) {
            (Scheme::Https, Some(tls)) => Some((tls, ServerName::try_from(url.host().to_owned())?)),
            (Scheme::Https | Scheme::Http, _) => None,
        };
        Ok(Self {
            origin: url.origin(),
            url,
            tls,
        })
    }

    /// Opens one connection.
    ///
    /// # Errors
    /// [`DialError`]; nothing has been sent but handshakes.
    pub(super) async fn dial(&self) -> Result<Dialed, DialError> {
        timeout(DIAL_TIMEOUT, self.connect())
            .await
            .unwrap_or(Err(DialError::TimedOut))
    }

    async fn connect(&self) -> Result<Dialed, DialError> {
        let tcp = TcpStream::connect((self.url.host(), self.url.port()))
            .await
            .map_err(DialError::Connect)?;
        tcp.set_nodelay(true).map_err(DialError::Connect)?;
        match &self.tls {
            None => self.handshake(TokioIo::new(tcp)).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(config.current());
                let tls = connector
                    .connect(name.clone(), tcp)
                    .await
                    .map_err(DialError::Tls)?;
                self.handshake(TokioIo::new(tls)).await
            }
        }
    }

    async fn handshake<T>(&self, io: T) -> Result<Dialed, DialError>
    where
        T: Read + Write + Unpin + Send + 'static,
    {
        // No adaptive window: its probes are pings, and etcd counts pings. None while idle
        // either: etcd forbids them.
        let (sender, connection) = http2::Builder::new(OnRuntime)
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .initial_max_send_streams(STREAMS_INITIAL)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(false)
            .handshake(io)
            .await
            .map_err(DialError::Http2)?;
        let channel = Channel::new(sender);
        let client = channel.clone().into_client(self.origin.clone());
        Ok(Dialed {
            client,
            channel,
            driver: Box::pin(connection),
        })
    }
}

/// Runs hyper's own futures: one for a connection's frames and a short one for each call. They end
/// with their [`Driver`], which a task group owns, and with the calls under way at that time.
#[derive(Clone, Copy)]
struct OnRuntime;

impl<F> Executor<F> for OnRuntime
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}
