//! One h2 connection to an endpoint, and calls over it that look at length and grpc-status only.
//!
//! A connection lives as long as its [`Connection`]; callers made from it fail once it is dropped.
//! Plain TCP only: it does not know TLS, names beyond `host:port`, or what a message means.

use std::{fmt, future::poll_fn, str::FromStr, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{Builder, ResponseFuture, SendRequest},
};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use prost::Message;
use tokio::{net::TcpStream, task::AbortHandle, time::timeout};

/// Opening a connection on loopback or over the delay proxy: a round trip or two.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// For one call of the set-up: a home without a leader answers none of them.
const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// One stream may hold a range of 100 keys of 10 kB.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// A connection may hold eight of those.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// `host:port` of a server that speaks etcd's API without TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// An endpoint on loopback.
    pub fn loopback(port: u16) -> Self {
        Self(format!("127.0.0.1:{port}"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(
                "https is not supported: point the generator at a plaintext port".to_owned(),
            );
        }
        let bare = text
            .strip_prefix("http://")
            .unwrap_or(text)
            .trim_end_matches('/');
        match bare.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Self(bare.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is not host:port; for example 127.0.0.1:2379"
            )),
        }
    }
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// The transport gave up.
    #[error("transport: {0}")]
    Transport(#[from] h2::Error),
    /// The server refused.
    #[error("grpc status {code}: {message}")]
    Status {
        /// gRPC status code.
        code: String,
        /// The server's words.
        message: String,
    },
    /// The server did not answer in time.
    #[error("no answer in ten seconds")]
    TimedOut,
    /// The answer ended without a grpc-status.
    #[error("answer without grpc-status")]
    NoStatus,
    /// The answer is not the message it should be.
    #[error("decode answer: {0}")]
    Decode(#[from] prost::DecodeError),
}

impl CallFailed {
    /// A short name to count errors under: never more than there are status codes.
    pub fn kind(&self) -> String {
        match self {
            Self::Transport(_) => "transport".to_owned(),
            Self::Status { code, message: _ } => format!("grpc {code}"),
            Self::TimedOut => "timed out".to_owned(),
            Self::NoStatus => "no status".to_owned(),
            Self::Decode(_) => "decode".to_owned(),
        }
    }
}

/// A message with gRPC's five bytes before it: no compression, length.
pub fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(5 + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("requests are built by us and stay under 4 GiB"));
    message.encode(&mut framed).expect("the buffer grows");
    framed.freeze()
}

/// An open connection; closed by dropping it.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Bytes>,
    endpoint: Endpoint,
    driver: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects and shakes hands, within ten seconds.
    pub async fn open(endpoint: &Endpoint) -> anyhow::Result<Self> {
        use anyhow::Context;
        let opened = timeout(CONNECT_TIMEOUT, Self::shake_hands(endpoint));
        let opened = opened
            .await
            .context("no answer in ten seconds")
            .and_then(|opened| opened);
        opened.with_context(|| format!("connect to {endpoint}: is a server listening there?"))
    }

    async fn shake_hands(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(&endpoint.0).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .enable_push(false)
            .handshake(socket)
            .await?;
        let driver = tokio::spawn(async move {
            // The callers see the error; there is nobody else to tell.
            let _ = connection.await;
        });
        Ok(Self {
            sender,
            endpoint: endpoint.clone(),
            driver: driver.abort_handle(),
        })
    }

    /// A caller of one method, `package.Service/Method`.
    pub fn caller(&self, method: &str) -> Caller {
        let uri = format!("http://{}/{method}", self.endpoint).parse();
        Caller {
            sender: self.sender.clone(),
            uri: uri.expect("endpoint and method are made of URI characters"),
        }
    }

    /// One call with the answer decoded: for set-up, not for load.
    pub async fn ask<A: Message + Default>(
        &self,
        method: &str,
        request: &impl Message,
    ) -> Result<A, CallFailed> {
        let mut caller = self.caller(method);
        let called = caller.call_for(frame(request));
        timeout(ASK_TIMEOUT, called)
            .await
            .map_err(|_| CallFailed::TimedOut)?
    }
}

/// Calls one method over one connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    sender: SendRequest<Bytes>,
    uri: Uri,
}

impl Caller {
    /// Sends a framed request and waits for the whole answer: its length in bytes.
    pub async fn call(&mut self, framed: Bytes) -> Result<u64, CallFailed> {
        let mut length = 0;
        self.call_into(framed, |chunk| length += chunk.len() as u64)
            .await?;
        Ok(length)
    }

    /// Sends a framed request and decodes the answer.
    pub async fn call_for<A: Message + Default>(&mut self, framed: Bytes) -> Result<A, CallFailed> {
        let mut sink = BytesMut::new();
        self.call_into(framed, |chunk| sink.put_slice(chunk))
            .await?;
        sink.advance(sink.len().min(5));
        Ok(A::decode(sink.freeze())?)
    }

    async fn call_into(
        &mut self,
        framed: Bytes,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<(), CallFailed> {
        let (response, mut body) = self.start().await?;
        body.send_data(framed, true)?;
        let response = response.await?;
        if let Some(status) = response.headers().get("grpc-status") {
            return read_status(status, response.headers());
        }
        let mut answer = response.into_body();
        while let Some(chunk) = answer.data().await {
            let chunk = chunk?;
            answer.flow_control().release_capacity(chunk.len())?;
            sink(&chunk);
        }
        end_of(&mut answer).await
    }

    /// Opens a call and leaves its request side to the caller.
    pub async fn start(&mut self) -> Result<(ResponseFuture, SendStream<Bytes>), CallFailed> {
        poll_fn(|context| self.sender.poll_ready(context)).await?;
        Ok(self.sender.send_request(self.request(), false)?)
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        request
    }
}

/// The status in the trailers of an answer whose data has been read.
pub async fn end_of(answer: &mut RecvStream) -> Result<(), CallFailed> {
    let trailers = answer.trailers().await?.ok_or(CallFailed::NoStatus)?;
    let status = trailers.get("grpc-status").ok_or(CallFailed::NoStatus)?;
    read_status(status, &trailers)
}

fn read_status(status: &HeaderValue, beside: &HeaderMap) -> Result<(), CallFailed> {
    if status.as_bytes() == b"0" {
        return Ok(());
    }
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let message = beside.get("grpc-message").map(text).unwrap_or_default();
    Err(CallFailed::Status {
        code: text(status),
        message,
    })
}

#[cfg(test)]
mod tests;
