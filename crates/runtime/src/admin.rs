//! The admin port: liveness, readiness, metrics and status over HTTP/1.1.
//!
//! It has a thread and a runtime of its own, so that probes are answered while the doors are
//! loaded, and until the very end of a stop. Invariants: at most `CONNECTIONS_MAX` connections,
//! one request each, all of it within `CONNECTION_DEADLINE`; nothing here changes anything. It
//! does not know what is behind its routes.

use std::{
    convert::Infallible, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc,
    thread::JoinHandle, time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{
    TaskGroup,
    accept::{self, Connection, Limits},
};

/// Probes, scrapes and people: a handful; more is a mistake that must not cost memory.
const CONNECTIONS_MAX: usize = 128;

/// From accept to the last byte of the answer; a scrape takes milliseconds.
const CONNECTION_DEADLINE: Duration = Duration::from_secs(10);

/// A stop waits this long for answers under way.
const DRAIN: Duration = Duration::from_secs(1);

/// Request heads here are a few hundred bytes; hyper's least is 8 KiB.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Asking every node of every region takes the longest round trip and a node's own moment; nodes
/// that take longer are told of as missing, so the gatherer answers in time by itself.
pub const STATUS_ALL_DEADLINE: Duration = Duration::from_secs(3);

/// One gathering asks every node; two at once serve two people, more would be a flood.
const GATHERINGS_MAX: usize = 2;

const ROUTES: &str = "routes: /healthz /readyz /metrics /status.json /status-all.json\n";

const TEXT: &str = "text/plain; charset=utf-8";

const JSON: &str = "application/json";

/// Whether this node should get traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It should; why, in a few words.
    Ready(String),
    /// It should not (yet, or any more); why.
    NotReady(String),
}

/// The status of all nodes, being gathered: a JSON document, or why there is none.
pub type Gathering = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// What the routes answer; each is called on the admin thread and must not block.
pub struct Routes {
    /// `/readyz`.
    pub ready: Box<dyn Fn() -> Readiness + Send + Sync>,
    /// `/metrics`: Prometheus text.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// `/status.json`: a JSON document.
    pub status: Box<dyn Fn() -> String + Send + Sync>,
    /// `/status-all.json`: begins to gather; dropped after [`STATUS_ALL_DEADLINE`]. It is polled on
    /// the admin thread, so what takes long or needs the runtime's timers belongs in a task of its
    /// own.
    pub status_all: Box<dyn Fn() -> Gathering + Send + Sync>,
}

/// The routes of a running server.
struct Served {
    routes: Routes,
    gatherings: Semaphore,
}

/// A running admin server.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    tasks: TaskGroup,
    thread: JoinHandle<()>,
}

/// Serves `routes` on `listener`, on a thread of its own.
///
/// # Errors
/// The system's, when it cannot start a thread or a runtime.
pub fn serve(listener: TcpListener, routes: Routes) -> io::Result<AdminServer> {
    let listener = listener.into_std()?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let served = Arc::new(Served {
        routes,
        gatherings: Semaphore::new(GATHERINGS_MAX),
    });
    let tasks = TaskGroup::root("admin");
    let group = tasks.clone();
    let thread = std::thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || runtime.block_on(run(listener, served, group)))?;
    Ok(AdminServer {
        address,
        tasks,
        thread,
    })
}

impl AdminServer {
    /// Where it listens: the port taken, if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it and waits for its thread, two seconds at most; blocks.
    pub fn stop(self) {
        self.tasks.token().cancel();
        if self.thread.join().is_err() {
            tracing::error!("the admin thread panicked");
        }
    }
}

async fn run(listener: TcpListener, served: Arc<Served>, tasks: TaskGroup) {
    let limits = Limits {
        connections: CONNECTIONS_MAX,
    };
    let acceptor = accept::serve("http", listener, limits, &tasks, move |connection| {
        answer_one(connection, served.clone())
    });
    tasks.token().cancelled().await;
    acceptor.drain(DRAIN).await;
}

async fn answer_one(connection: Connection, served: Arc<Served>) {
    let Connection {
        stream,
        peer: _,
        draining: _,
    } = connection;
    let service = service_fn(move |request: Request<Incoming>| {
        let served = served.clone();
        async move { Ok::<_, Infallible>(respond(&request, &served).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_DEADLINE)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A peer that is slow, gone or wrong has ended only its own connection.
    let _ = tokio::time::timeout(CONNECTION_DEADLINE, served).await;
}

async fn respond<B>(request: &Request<B>, served: &Served) -> Response<Full<Bytes>> {
    const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = reply(
            StatusCode::METHOD_NOT_ALLOWED,
            TEXT,
            "only GET and HEAD\n".into(),
        );
        refused
            .headers_mut()
            .insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let routes = &served.routes;
    match request.uri().path() {
        "/healthz" => reply(StatusCode::OK, TEXT, "ok\n".into()),
        "/readyz" => match (routes.ready)() {
            Readiness::Ready(why) => reply(StatusCode::OK, TEXT, why + "\n"),
            Readiness::NotReady(why) => reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, why + "\n"),
        },
        "/metrics" => reply(StatusCode::OK, PROMETHEUS, (routes.metrics)()),
        "/status.json" => reply(StatusCode::OK, JSON, (routes.status)()),
        "/status-all.json" => gather(served).await,
        _ => reply(StatusCode::NOT_FOUND, TEXT, ROUTES.to_owned()),
    }
}

async fn gather(served: &Served) -> Response<Full<Bytes>> {
    let unavailable = |why: &str| reply(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n"));
    let Ok(_turn) = served.gatherings.try_acquire() else {
        return unavailable("others are asking all nodes already; ask again");
    };
    match tokio::time::timeout(STATUS_ALL_DEADLINE, (served.routes.status_all)()).await {
        Ok(Ok(document)) => reply(StatusCode::OK, JSON, document),
        Ok(Err(why)) => unavailable(&why),
        Err(_) => unavailable("not gathered in time; ask again, or ask a node of another region"),
    }
}

fn reply(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests;
