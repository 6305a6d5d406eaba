//! One GET over plain HTTP/1.1, with a deadline and a bound.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use meridian_conf::{Endpoint, Scheme};
use tokio::net::TcpStream;

/// A node answers in milliseconds; one that hangs is not waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// A node's status is a few kilobytes; a thousand nodes make a few megabytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The body at `path`, if the answer is 200.
pub(super) async fn get(at: &Endpoint, path: &str) -> Result<String> {
    match at.scheme() {
        Scheme::Http => {}
        Scheme::Https => bail!("{at}: an admin port has no TLS; use http://"),
    }
    let answer = tokio::time::timeout(DEADLINE, exchange(at, path)).await;
    answer
        .unwrap_or_else(|_| bail!("no answer within {} s", DEADLINE.as_secs()))
        .with_context(|| {
            format!("cannot ask {at}; is the node running, and is this its [admin] listen?")
        })
}

async fn exchange(at: &Endpoint, path: &str) -> Result<String> {
    let stream = TcpStream::connect((at.host(), at.port()))
        .await
        .context("connect")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .context("connect")?;
    let request = Request::get(path)
        .header(http::header::HOST, at.host())
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await.context("ask")?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body
            .map_err(|error| anyhow::anyhow!(error))
            .context("read the answer")?;
        Ok::<_, anyhow::Error>((status, body.to_bytes()))
    };
    let (status, body) = tokio::select! {
        answered = exchange => answered?,
        Err(error) = connection => return Err(error).context("the connection broke"),
    };
    let body = String::from_utf8(body.to_vec()).context("the answer is not text")?;
    if status != StatusCode::OK {
        bail!("it answered {status}: {}", body.trim_end());
    }
    Ok(body)
}
