//! A socket whose incoming bytes pass the machine for as long as it looks at them.
//!
//! Afterwards reading costs one comparison more than the socket's own; writing never costs more.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Mender;

/// Bytes read at a time while the machine looks: the opening of a connection is some hundred.
const READ_BYTES: usize = 4 << 10;

/// The socket.
pub(crate) struct Socket<S> {
    stream: S,
    /// None once it looks no more.
    mender: Option<Box<Mender>>,
}

impl<S> Socket<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            mender: Some(Box::new(Mender::new())),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, mender } = self.get_mut();
        if let Some(looking) = mender {
            ready!(read(Pin::new(&mut *stream), looking, cx, buf))?;
            if looking.is_done() {
                *mender = None;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(stream).poll_read(cx, buf)
    }
}

/// Reads until the machine has something ready, or the end.
fn read<S: AsyncRead>(
    mut stream: Pin<&mut S>,
    mender: &mut Mender,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    while mender.ready().is_empty() {
        let mut room = [0; READ_BYTES];
        let mut room = ReadBuf::new(&mut room);
        ready!(stream.as_mut().poll_read(cx, &mut room))?;
        if room.filled().is_empty() {
            mender.end();
            break;
        }
        mender.push(room.filled());
    }
    let len = mender.ready().len().min(buf.remaining());
    buf.put_slice(&mender.ready()[..len]);
    mender.take(len);
    Poll::Ready(Ok(()))
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
