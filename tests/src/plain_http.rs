//! HTTP/1.1 as a simple client speaks it: the JSON form of etcd's calls, `/version`, `/health`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinHandle};

use crate::{conversation::ANSWER_PATIENCE, wait::within};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("JSON, not {:?}", self.body))
    }
}

/// `GET path`.
///
/// # Errors
/// When no answer comes.
pub async fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    call(address, request(address, Method::GET, path, Bytes::new())?).await
}

/// `POST path` with these bytes.
///
/// # Errors
/// When no answer comes.
pub async fn post(address: SocketAddr, path: &str, body: impl Into<Bytes>) -> Result<Answer> {
    call(address, request(address, Method::POST, path, body.into())?).await
}

/// A request to be changed before it is made.
///
/// # Errors
/// When `path` is none.
pub fn request(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Request<Full<Bytes>>> {
    let builder = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, address.to_string());
    builder
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .context("build a request")
}

/// Makes `request` on a connection of its own.
///
/// # Errors
/// When no answer comes.
pub async fn call(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Answer> {
    let work = async {
        let (response, connection) = start(address, request).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.context("read the body")?.to_bytes();
        connection.abort();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    };
    within(Duration::from_secs(20), "an HTTP answer", work).await?
}

type Started = (http::Response<Incoming>, JoinHandle<()>);

async fn start(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Started> {
    let socket = TcpStream::connect(address).await.context("connect")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .context("HTTP handshake")?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let response = sender
        .send_request(request)
        .await
        .context("send the request")?;
    Ok((response, connection))
}

/// An answer that goes on: one JSON value per line.
#[derive(Debug)]
pub struct Lines {
    /// Status of the answer.
    pub status: StatusCode,
    body: Incoming,
    kept: BytesMut,
    connection: JoinHandle<()>,
}

impl Lines {
    /// `POST path`, leaving the answer open.
    ///
    /// # Errors
    /// When no answer begins.
    pub async fn post(address: SocketAddr, path: &str, body: &str) -> Result<Self> {
        let request = request(
            address,
            Method::POST,
            path,
            Bytes::copy_from_slice(body.as_bytes()),
        )?;
        let (response, connection) =
            within(ANSWER_PATIENCE, "an answer begins", start(address, request)).await??;
        let (parts, body) = response.into_parts();
        Ok(Self {
            status: parts.status,
            body,
            kept: BytesMut::new(),
            connection,
        })
    }

    /// The next line.
    ///
    /// # Errors
    /// When none comes.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.kept.iter().position(|byte| *byte == b'\n') {
                let line = self.kept.split_to(end + 1);
                return serde_json::from_slice(&line)
                    .with_context(|| format!("JSON, not {line:?}"));
            }
            let frame = within(ANSWER_PATIENCE, "the next line", self.body.frame()).await?;
            match frame {
                Some(Ok(frame)) => self
                    .kept
                    .extend_from_slice(frame.data_ref().unwrap_or(&Bytes::new())),
                Some(Err(error)) => bail!("the answer broke: {error}"),
                None if self.kept.is_empty() => bail!("the answer ended"),
                None => self.kept.extend_from_slice(b"\n"),
            }
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
