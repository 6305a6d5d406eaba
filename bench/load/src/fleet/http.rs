//! GET over plain HTTP/1.1, for `/readyz` and `/metrics`, and the sum of a Prometheus counter.

use std::time::Duration;

use anyhow::Context;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// For one request on loopback.
const DEADLINE: Duration = Duration::from_secs(5);
/// An etcd's metrics page has some 200 kB.
const PAGE_BYTES_MAX: u64 = 16 << 20;

/// Status and body of a page on a loopback port.
pub async fn get(port: u16, path: &str) -> anyhow::Result<(u16, String)> {
    let page = timeout(DEADLINE, exchange(port, path)).await;
    let page = page.with_context(|| format!("no answer from 127.0.0.1:{port}{path}"))??;
    let (head, body) = page
        .split_once("\r\n\r\n")
        .context("an answer without a head")?;
    let status = head
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok());
    Ok((
        status.context("an answer without a status")?,
        body.to_owned(),
    ))
}

async fn exchange(port: u16, path: &str) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await?;
    // 1.0, so that the page comes in one piece and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    socket.take(PAGE_BYTES_MAX).read_to_end(&mut page).await?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The sum of a counter's series that have every one of `labels` (`name="value"`).
pub fn counter(page: &str, name: &str, labels: &[&str]) -> f64 {
    let series = page.lines().filter_map(|line| line.strip_prefix(name));
    series
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter(|rest| labels.iter().all(|label| rest.contains(label)))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests;
