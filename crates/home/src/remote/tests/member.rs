//! A scripted etcd member: an HTTP/2 server that answers status calls well, and does with every
//! other call as it was told.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, Request, Response, StatusCode};
use meridian_etcd_api::{
    EtcdError,
    etcdserverpb::{RangeResponse, ResponseHeader, StatusResponse},
};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};

/// What a member does with a call that is no status call.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Answers `answer to ` and the request.
    Answer,
    /// Answers an empty range at a revision.
    Range { revision: i64 },
    /// Answers with an error of etcd.
    Refuse(EtcdError),
    /// Resets the stream with REFUSED_STREAM.
    RefuseStream,
    /// Closes the connection once the request has arrived.
    DropConnection,
    /// Never answers.
    Hang,
    /// Answers as an HTTP proxy whose backend is down.
    Http503,
}

pub(super) struct Member {
    port: u16,
    seen: Arc<Seen>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    headers: Mutex<HeaderMap>,
}

impl Member {
    pub(super) async fn start(act: Act) -> Self {
        Self::start_with(act, 7).await
    }

    pub(super) async fn start_without_leader() -> Self {
        Self::start_with(Act::Hang, 0).await
    }

    async fn start_with(act: Act, leader: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let server = tokio::spawn(serve(listener, act, leader, seen.clone()));
        Self { port, seen, server }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls that reached it, but for status calls.
    pub(super) fn calls(&self) -> usize {
        self.seen.calls.load(Ordering::SeqCst)
    }

    pub(super) fn last_headers(&self) -> HeaderMap {
        self.seen.headers.lock().clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, act: Act, leader: u64, seen: Arc<Seen>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        connections.spawn(serve_connection(tcp, act, leader, seen.clone()));
    }
}

async fn serve_connection(tcp: TcpStream, act: Act, leader: u64, seen: Arc<Seen>) {
    let Ok(mut connection) = h2::server::handshake(tcp).await else {
        return;
    };
    let mut calls = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            call = connection.accept() => {
                let Some(Ok((request, respond))) = call else { return };
                calls.spawn(serve_call(request, respond, act, leader, seen.clone()));
            }
            Some(ended) = calls.join_next() => {
                if let Ok(End::Connection) = ended {
                    return;
                }
            }
        }
    }
}

enum End {
    Call,
    Connection,
}

async fn serve_call(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    act: Act,
    leader: u64,
    seen: Arc<Seen>,
) -> End {
    let (head, mut body) = request.into_parts();
    if head.uri.path().ends_with("/Status") {
        let header = Some(ResponseHeader {
            member_id: 7,
            ..Default::default()
        });
        let version = "3.4.23".to_owned();
        let status = StatusResponse {
            header,
            version,
            leader,
            ..Default::default()
        };
        answer(&mut respond, &status.encode_to_vec());
        return End::Call;
    }
    seen.calls.fetch_add(1, Ordering::SeqCst);
    *seen.headers.lock() = head.headers;
    match act {
        Act::Answer if head.uri.path().ends_with("/Watch") => answer(&mut respond, b"answer to "),
        Act::Answer => {
            let request = read(&mut body).await;
            answer(&mut respond, &[b"answer to ", &request[5..]].concat());
        }
        Act::Range { revision } => {
            let header = Some(ResponseHeader {
                revision,
                ..Default::default()
            });
            let range = RangeResponse {
                header,
                ..Default::default()
            };
            answer(&mut respond, &range.encode_to_vec());
        }
        Act::Refuse(error) => refuse(&mut respond, error),
        Act::RefuseStream => respond.send_reset(Reason::REFUSED_STREAM),
        Act::DropConnection => {
            read(&mut body).await;
            return End::Connection;
        }
        Act::Hang => std::future::pending().await,
        Act::Http503 => {
            let response = Response::builder()
                .status(StatusCode::SERVICE_UNAVAILABLE)
                .body(())
                .unwrap();
            let _ = respond.send_response(response, true);
        }
    }
    End::Call
}

async fn read(body: &mut RecvStream) -> Bytes {
    let mut all = BytesMut::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    all.freeze()
}

fn answer(respond: &mut SendResponse<Bytes>, message: &[u8]) {
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .header("x-answer", "yes")
        .body(())
        .unwrap();
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    let Ok(mut stream) = respond.send_response(head, false) else {
        return;
    };
    let _ = stream.send_data(frame.freeze(), false);
    finish(&mut stream);
}

fn finish(stream: &mut SendStream<Bytes>) {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let _ = stream.send_trailers(trailers);
}

fn refuse(respond: &mut SendResponse<Bytes>, error: EtcdError) {
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", error.code() as i32)
        .header("grpc-message", error.message())
        .header("x-answer", "no")
        .body(())
        .unwrap();
    let _ = respond.send_response(head, true);
}
