//! The door as the composition root holds it: open, count, drain.
//!
//! Owns the listening port and its connections. HTTP/1.1 and HTTP/2 share the port: the first bytes
//! of a connection tell which it is, over TLS and without.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use meridian_engine::Engine;
use meridian_runtime::{
    StopReport, TaskGroup,
    accept::{self, Acceptor, Counters, Limits},
    tls::ReloadableServer,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::{
    authority,
    body::DoorBody,
    call::{Connection, Door},
    grpc, json,
    metrics::{DoorStatus, Meters},
};

/// Client connections at one time, in one gateway: 16,384 file descriptors, and at rest some 40 KiB
/// each, 640 MiB in all.
const CONNECTIONS_MAX: usize = 16_384;

/// Calls at one time on one connection. A clientv3 puts all its watches on one connection: etcd's
/// own limit is none, Kubernetes has some hundred. At rest a stream is a task of about 2 KiB.
const STREAMS_MAX: u32 = 10_000;

/// Bytes a client may send ahead on one call: half a message of the largest size.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Bytes a client may send ahead on one connection: eight such calls at once.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Bytes of one call's answer that may wait for the client: what is in a socket's buffer besides.
const SEND_BUFFER_BYTES: usize = 1 << 20;

/// Bytes of a call's headers: 64 times the usual. JWT tokens are the largest that are seen.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// Calls that a client opened and reset before we saw them: as many as it may have open.
const RESETS_MAX: usize = STREAMS_MAX as usize;

/// How often a silent client is asked whether it lives, and how long it may take: etcd's defaults
/// (`--grpc-keepalive-interval`, `--grpc-keepalive-timeout`).
const PING_INTERVAL: Duration = Duration::from_secs(2 * 60 * 60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a TLS handshake may take: three round trips around the world, ten times over.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// How long an HTTP/1.1 client may take for a request's headers.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);

/// What a door is told.
pub struct DoorConfig {
    /// The port, bound already.
    pub listener: TcpListener,
    /// The server's side of TLS; plain text without it.
    pub tls: Option<Arc<ReloadableServer>>,
    /// The client URLs that `MemberList` answers.
    pub advertise: Vec<String>,
}

/// A door that is open.
pub struct DoorHandle {
    door: Arc<Door>,
    acceptor: Acceptor,
    connections: Arc<Counters>,
    tasks: TaskGroup,
}

/// Opens the door.
pub fn serve(config: DoorConfig, engine: Arc<Engine>, tasks: &TaskGroup) -> DoorHandle {
    let DoorConfig {
        listener,
        tls,
        advertise,
    } = config;
    let tasks = tasks.child("etcd-door");
    let door = Arc::new(Door {
        engine,
        advertise,
        meters: Meters::new(),
        tasks: tasks.child("calls"),
        draining: CancellationToken::new(),
    });
    let http = Arc::new(http());
    let limits = Limits {
        connections: CONNECTIONS_MAX,
    };
    let of_connections = Arc::clone(&door);
    let acceptor = accept::serve("connections", listener, limits, &tasks, move |accepted| {
        let connection = Arc::new(Connection::new(Arc::clone(&of_connections)));
        connect(accepted, tls.clone(), Arc::clone(&http), connection)
    });
    let connections = Arc::clone(acceptor.counters());
    DoorHandle {
        door,
        acceptor,
        connections,
        tasks,
    }
}

impl DoorHandle {
    /// The counters now.
    pub fn status(&self) -> DoorStatus {
        self.reader().status()
    }

    /// A handle that reads the counters, and outlives the drain.
    pub fn reader(&self) -> DoorReader {
        DoorReader {
            door: Arc::clone(&self.door),
            connections: Arc::clone(&self.connections),
        }
    }

    /// Closes the port, ends the streams, lets calls in flight finish until `deadline` from now,
    /// and aborts the rest.
    pub async fn drain(self, deadline: Duration) -> StopReport {
        self.door.draining.cancel();
        let report = self.acceptor.drain(deadline).await;
        // What the connections left behind: calls whose outcome the engine must learn of.
        let mut rest = self.tasks.stop(deadline).await;
        rest.aborted.extend(report.aborted);
        rest.stuck.extend(report.stuck);
        rest
    }
}

/// Reads a door's counters.
#[derive(Clone)]
pub struct DoorReader {
    door: Arc<Door>,
    connections: Arc<Counters>,
}

impl DoorReader {
    /// The counters now.
    pub fn status(&self) -> DoorStatus {
        DoorStatus {
            connections: self.connections.open(),
            connections_refused: self.connections.refused(),
            ..self.door.meters.status()
        }
    }
}

type Http = auto::Builder<TokioExecutor>;

fn http() -> Http {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .half_close(true)
        .title_case_headers(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_BUFFER_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

async fn connect(
    accepted: accept::Connection,
    tls: Option<Arc<ReloadableServer>>,
    http: Arc<Http>,
    connection: Arc<Connection>,
) {
    let accept::Connection {
        stream,
        peer,
        draining,
    } = accepted;
    let Some(tls) = tls else {
        return speak(stream, http, connection, draining).await;
    };
    let handshake = TlsAcceptor::from(tls.current()).accept(stream);
    match tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await {
        Ok(Ok(stream)) => speak(stream, http, connection, draining).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
}

/// Serves one connection until the client leaves or, once the door drains, its last call is done.
async fn speak<S>(
    stream: S,
    http: Arc<Http>,
    connection: Arc<Connection>,
    draining: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request| answer(Arc::clone(&connection), request));
    let socket = TokioIo::new(authority::Socket::new(stream));
    let mut serving = std::pin::pin!(http.serve_connection(socket, service));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = draining.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        // The client's doing: it left, or spoke no HTTP.
        tracing::trace!(%error, "connection ended");
    }
}

/// Not an `async fn`, so that the request is kept but once, in parts: the future of a call is moved
/// several times before it runs.
fn answer(
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<DoorBody>, Infallible>> {
    let (parts, body) = request.into_parts();
    async move {
        Ok(if grpc::is_grpc(parts.version, &parts.headers) {
            grpc::answer(&connection, &parts, body).await
        } else {
            Box::pin(json::answer(connection, parts, body)).await
        })
    }
}
