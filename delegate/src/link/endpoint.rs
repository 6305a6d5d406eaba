//! A node's UDP port: links are dialled from it and accepted on it.
//!
//! Invariants: what it hands out has a name from a verified certificate; certificates are those of the
//! files as they are now; handshakes run beside each other, so a slow one delays nobody, and are
//! bounded in number and time.

mod incoming;

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use meridian_runtime::{
    TaskGroup,
    tls::{Reloading, TlsError},
};
use quinn::{EndpointConfig, TokioRuntime, VarInt};
use rustls_pki_types::CertificateDer;
use socket2::SockRef;
use tokio::{
    sync::{Mutex, mpsc},
    time::timeout_at,
};

use super::{
    LinkConfig,
    connection::{Closed, Link},
    identity::node_name,
    metrics,
    tls::{self, Security},
};
use crate::NodeName;

/// To resolve a name and finish a handshake (two round trips of 220 ms) with a lost packet or two
/// in it, which cost up to a second each before the round trip is known.
const DIAL_DEADLINE: Duration = Duration::from_secs(3);

/// The same for a handshake that begins at the other end.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(3);

/// Links that wait to be taken by [`Endpoint::accept`]; beyond it, handshakes wait.
const ACCEPTED_MAX: usize = 64;

/// Buffers asked of the system for the port: what arrives at 1 Gbit/s while a busy machine
/// does not run us for 30 ms. The system grants at most `net.core.rmem_max` and `wmem_max`.
const SOCKET_BYTES: usize = 4 << 20;

/// The server name that a node demands of a hub, and of any node.
const HUB_NAME: &str = "hub.meridian.internal";
const NODE_NAME: &str = "node.meridian.internal";

/// Why an endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The port cannot be had.
    #[error("cannot listen on UDP {address}: {source}; choose another address or stop who has it")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Why a link could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The host has no address.
    #[error("{address} cannot be resolved: {problem}")]
    Resolve {
        /// As given.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// Nothing answered in time.
    #[error("{address} did not answer within {limit:?}")]
    Silent {
        /// As given.
        address: String,
        /// How long was waited.
        limit: Duration,
    },
    /// One end refused the other, or something is there that is no Meridian.
    #[error("no link to {address}: {reason}")]
    Failed {
        /// As given.
        address: String,
        /// Why.
        reason: String,
    },
    /// Another node is there than was expected.
    #[error("{address} is {found}, not {expected}")]
    OtherNode {
        /// As given.
        address: String,
        /// Who was expected.
        expected: NodeName,
        /// Who is there.
        found: NodeName,
    },
}

/// A node's UDP port.
pub struct Endpoint {
    endpoint: quinn::Endpoint,
    /// What is dialled from: the port that listens may be bound to an address from which others
    /// cannot be reached, loopback for one.
    dialler: quinn::Endpoint,
    security: Arc<Reloading<Security>>,
    accepted: Mutex<mpsc::Receiver<Link>>,
}

impl Endpoint {
    /// Opens the port; `listen` is none for a node that only dials. Its certificate must name
    /// `me`. Handshakes run under `tasks`; when they are stopped, every link is closed.
    ///
    /// # Errors
    /// [`OpenError`]; nothing has been started then.
    pub fn open(
        listen: Option<SocketAddr>,
        config: &LinkConfig,
        me: &NodeName,
        tasks: &TaskGroup,
    ) -> Result<Self, OpenError> {
        let security = Arc::new(tls::reloading(config, me)?);
        let socket = match listen {
            Some(address) => {
                UdpSocket::bind(address).map_err(|source| OpenError::Bind { address, source })?
            }
            None => any_port()?,
        };
        let server = listen.map(|_| (*security.current().server).clone());
        let address = listen.unwrap_or(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
        let endpoint =
            start(socket, server).map_err(|source| OpenError::Bind { address, source })?;
        let dialler = match listen {
            Some(_) => {
                start(any_port()?, None).map_err(|source| OpenError::Bind { address, source })?
            }
            None => endpoint.clone(),
        };
        let (sender, receiver) = mpsc::channel(ACCEPTED_MAX);
        let token = tasks.token();
        let run = incoming::run(
            endpoint.clone(),
            security.clone(),
            sender,
            tasks.clone(),
            token,
        );
        tasks.spawn_permanent("links", run);
        let (dialling, token) = (dialler.clone(), tasks.token());
        tasks.spawn_permanent("links out", incoming::close_at(dialling, token));
        Ok(Self {
            endpoint,
            dialler,
            security,
            accepted: Mutex::new(receiver),
        })
    }

    /// The port's address.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Makes a link to a hub at `host:port`. A hub that refuses our certificate closes the link
    /// right after it is made; see [`Link::closed`].
    ///
    /// # Errors
    /// [`LinkError`], within three seconds. Cancel-safe.
    pub async fn connect_hub(&self, address: &str) -> Result<Link, LinkError> {
        self.counted(self.connect(address, HUB_NAME)).await
    }

    /// Makes a link to the node `name`, which serves members at `host:port`.
    ///
    /// # Errors
    /// As for [`Endpoint::connect_hub`], and [`LinkError::OtherNode`].
    pub async fn connect_node(&self, address: &str, name: &NodeName) -> Result<Link, LinkError> {
        let link = self.counted(self.connect(address, NODE_NAME)).await?;
        if link.peer() == name {
            return Ok(link);
        }
        link.close("another node was expected here");
        metrics::dial_failed();
        Err(LinkError::OtherNode {
            address: address.to_owned(),
            expected: name.clone(),
            found: link.peer().clone(),
        })
    }

    /// The next link that another node has made; none once the tasks are stopped. Cancel-safe.
    pub async fn accept(&self) -> Option<Link> {
        self.accepted.lock().await.recv().await
    }

    async fn counted(
        &self,
        connect: impl Future<Output = Result<Link, LinkError>>,
    ) -> Result<Link, LinkError> {
        let link = connect.await;
        if link.is_err() {
            metrics::dial_failed();
        }
        link
    }

    async fn connect(&self, address: &str, server_name: &str) -> Result<Link, LinkError> {
        let by = tokio::time::Instant::now() + DIAL_DEADLINE;
        let failed = |reason: String| LinkError::Failed {
            address: address.to_owned(),
            reason,
        };
        let mut last = None;
        let tried = timeout_at(by, async {
            for remote in resolve(address).await? {
                match self.dial(remote, server_name).await {
                    Ok(link) => return Ok(link),
                    Err(reason) => last = Some(failed(reason)),
                }
            }
            Err(last
                .take()
                .unwrap_or_else(|| failed("it has no address".to_owned())))
        });
        match tried.await {
            Ok(result) => result,
            Err(_) => Err(last.unwrap_or_else(|| LinkError::Silent {
                address: address.to_owned(),
                limit: DIAL_DEADLINE,
            })),
        }
    }

    async fn dial(&self, remote: SocketAddr, server_name: &str) -> Result<Link, String> {
        let client = self.security.current().client.clone();
        let connecting = self.dialler.connect_with(client, remote, server_name);
        let connecting = connecting.map_err(|error| error.to_string())?;
        let connection = connecting
            .await
            .map_err(|error| Closed::from(error).to_string())?;
        named(connection)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({:?})", self.endpoint.local_addr())
    }
}

/// The link of a connection whose handshake is done.
fn named(connection: quinn::Connection) -> Result<Link, String> {
    let identity = connection.peer_identity();
    let chain = identity.and_then(|identity| identity.downcast::<Vec<CertificateDer<'_>>>().ok());
    let Some(certificate) = chain.as_deref().and_then(|chain| chain.first()) else {
        connection.close(VarInt::from_u32(1), b"no certificate");
        return Err("the other end showed no certificate".to_owned());
    };
    match node_name(certificate) {
        Ok(name) => Ok(Link::new(connection, name)),
        Err(nameless) => {
            connection.close(VarInt::from_u32(1), b"the certificate names no node");
            Err(format!(
                "the other end's certificate names no node: {nameless}"
            ))
        }
    }
}

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, LinkError> {
    let failed = |problem: String| LinkError::Resolve {
        address: address.to_owned(),
        problem,
    };
    match tokio::net::lookup_host(address).await {
        Ok(found) => Ok(found.collect()),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// A port for both IP versions, or for the old one where the system has no other.
fn any_port() -> Result<UdpSocket, OpenError> {
    let six = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let opened = UdpSocket::bind(six).or_else(|_| UdpSocket::bind(four));
    opened.map_err(|source| OpenError::Bind {
        address: six,
        source,
    })
}

fn start(
    socket: UdpSocket,
    server: Option<quinn::ServerConfig>,
) -> std::io::Result<quinn::Endpoint> {
    let reference = SockRef::from(&socket);
    for result in [
        reference.set_recv_buffer_size(SOCKET_BYTES),
        reference.set_send_buffer_size(SOCKET_BYTES),
    ] {
        if let Err(error) = result {
            tracing::debug!(%error, "the system grants no larger buffers for the link's port");
        }
    }
    let runtime = Arc::new(TokioRuntime);
    quinn::Endpoint::new(EndpointConfig::default(), server, socket, runtime)
}
