//! A bare h2 server that answers every call with the same number of bytes: the limit to compare servers with.
//!
//! It reads the request to its end, sends one gRPC message and proper trailers, and does nothing else: no routing, no
//! decoding, no lookup. What a server costs beyond it is what that server does.

use std::net::Ipv4Addr;

use bytes::{BufMut, Bytes, BytesMut};
use clap::ValueEnum;
use futures_util::FutureExt;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header};
use tokio::net::{TcpListener, TcpStream};

/// How a request is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// One task per request: what a server must do whose answers may have to wait.
    Spawned,
    /// On the connection's task whenever the request is there already: the least there is.
    Inline,
}

/// The server, bound and not yet serving.
#[derive(Debug)]
pub struct Echo {
    listener: TcpListener,
    answer: Bytes,
    style: Style,
}

impl Echo {
    /// Binds a loopback port (0: any); answers have `answer_bytes`, gRPC's five included.
    pub async fn bind(port: u16, answer_bytes: usize, style: Style) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let message_bytes = answer_bytes.saturating_sub(5);
        let mut answer = BytesMut::with_capacity(5 + message_bytes);
        answer.put_u8(0);
        answer.put_u32(u32::try_from(message_bytes)?);
        answer.put_bytes(b'e', message_bytes);
        Ok(Self {
            listener,
            answer: answer.freeze(),
            style,
        })
    }

    /// The port in use.
    pub fn port(&self) -> u16 {
        self.listener
            .local_addr()
            .map(|address| address.port())
            .unwrap_or_default()
    }

    /// Serves until dropped; one task per connection.
    pub async fn serve(self) -> std::io::Result<()> {
        loop {
            let (socket, _) = self.listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(serve_connection(socket, self.answer.clone(), self.style));
        }
    }
}

async fn serve_connection(socket: TcpStream, answer: Bytes, style: Style) -> Result<(), h2::Error> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .handshake(socket)
        .await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let mut work = Box::pin(respond_to(request, respond, answer.clone()));
        let done = style == Style::Inline && work.as_mut().now_or_never().is_some();
        if !done {
            tokio::spawn(work);
        }
    }
    Ok(())
}

async fn respond_to(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    answer: Bytes,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    while let Some(chunk) = body.data().await {
        body.flow_control().release_capacity(chunk?.len())?;
    }
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    let mut stream = respond.send_response(response, false)?;
    stream.send_data(answer, false)?;
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}
