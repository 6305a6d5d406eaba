//! The TCP forwarder.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::wan::{Conditions, Wan, Weather};

async fn ends() -> Result<(Wan, TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let wan = Wan::start_seeded(listener.local_addr()?, 5).await?;
    let near = TcpStream::connect(wan.address()).await?;
    let (far, _) = listener.accept().await?;
    Ok((wan, near, far))
}

#[tokio::test]
async fn bytes_are_counted_each_way() -> Result<()> {
    let (wan, mut near, mut far) = ends().await?;
    near.write_all(&[1; 3_000]).await?;
    far.read_exact(&mut [0; 3_000]).await?;
    far.write_all(&[2; 10]).await?;
    near.read_exact(&mut [0; 10]).await?;
    assert_eq!(wan.there().sent.bytes, 3_000);
    assert_eq!(wan.back().sent.bytes, 10);
    assert_eq!(wan.back().sent.wire_bytes, 62);
    Ok(())
}

#[tokio::test]
async fn a_lost_segment_holds_the_stream_for_a_round_trip() -> Result<()> {
    let (wan, mut near, mut far) = ends().await?;
    let half = Conditions::half_of(Duration::from_millis(60));
    wan.set(half.losing(1.0));
    let started = Instant::now();
    near.write_all(&[1; 100]).await?;
    far.read_exact(&mut [0; 100]).await?;
    ensure!(
        started.elapsed() >= Duration::from_millis(90),
        "{:?}",
        started.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_cut_resets_what_is_open() -> Result<()> {
    let (wan, mut near, _far) = ends().await?;
    wan.set(Weather::Cut);
    ensure!(
        !matches!(near.read(&mut [0; 1]).await, Ok(1..)),
        "bytes out of nowhere"
    );
    Ok(())
}
