//! gRPC's request messages out of a request body: five bytes of prefix, then the message.
//!
//! The one reader of framing here. Invariants: a message is never larger than
//! [`MESSAGE_BYTES_MAX`], and its bytes are a slice of the buffer they arrived in when they
//! arrived in one piece. Faults are told with grpc-go's codes and texts.

use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use tonic::Code;

use crate::{failure::Failure, metadata::Encoding, wire::PREFIX_BYTES};

/// etcd's limit on a received message: its default `--max-request-bytes` (1.5 MiB) and 512 KiB for
/// what gRPC adds.
pub(crate) const MESSAGE_BYTES_MAX: usize = (1536 << 10) + (512 << 10);

/// Reads the messages of one request body.
pub(crate) struct Messages<B> {
    body: B,
    encoding: Encoding,
    /// What has arrived and was not handed out.
    arrived: Bytes,
    state: Reading,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Open,
    Ended,
    Failed,
}

impl<B> Messages<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    pub(crate) fn new(body: B, encoding: Encoding) -> Self {
        Self {
            body,
            encoding,
            arrived: Bytes::new(),
            state: Reading::Open,
        }
    }

    /// The one message of a unary call; what follows it is read and dropped, as by etcd.
    ///
    /// # Errors
    /// No message, or a broken one.
    pub(crate) async fn only(&mut self) -> Result<Bytes, Failure> {
        let message = self.next().await?;
        let message = message.ok_or_else(|| Failure::new(Code::Unknown, "EOF"))?;
        while self.skip().await? {}
        Ok(message)
    }

    /// The next message; none when the client has half-closed. Cancel-safe.
    ///
    /// # Errors
    /// A broken message or a broken connection; nothing can be read after it.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if self.state == Reading::Failed {
                return Ok(None);
            }
            match self.take() {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(failure) => return Err(self.fail(failure)),
            }
            if self.state == Reading::Ended {
                return self.ended();
            }
            if let Err(failure) = self.read_more().await {
                return Err(self.fail(failure));
            }
        }
    }

    /// Cuts a message off what has arrived, if it holds a whole one.
    fn take(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(prefix) = self.arrived.first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [flag, len @ ..] = *prefix;
        let len = u32::from_be_bytes(len) as usize;
        check_flag(flag, self.encoding)?;
        if len > MESSAGE_BYTES_MAX {
            let text =
                format!("grpc: received message larger than max ({len} vs. {MESSAGE_BYTES_MAX})");
            return Err(Failure::new(Code::ResourceExhausted, text));
        }
        if self.arrived.len() < PREFIX_BYTES + len {
            return Ok(None);
        }
        self.arrived.advance(PREFIX_BYTES);
        Ok(Some(self.arrived.split_to(len)))
    }

    /// Adds the next piece of the body to what has arrived.
    async fn read_more(&mut self) -> Result<(), Failure> {
        let Some(piece) = self.piece().await? else {
            self.state = Reading::Ended;
            return Ok(());
        };
        if self.arrived.is_empty() {
            self.arrived = piece;
            return Ok(());
        }
        let before = std::mem::take(&mut self.arrived);
        let mut joined = before
            .try_into_mut()
            .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        if let Some(len) = wanted_bytes(&joined) {
            joined.reserve(len.saturating_sub(joined.len()).max(piece.len()));
        }
        joined.extend_from_slice(&piece);
        self.arrived = joined.freeze();
        Ok(())
    }

    /// Reads and drops one piece; whether there was one.
    async fn skip(&mut self) -> Result<bool, Failure> {
        Ok(self.state == Reading::Open && self.piece().await?.is_some())
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.body.is_end_stream() {
            return Ok(None);
        }
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut self.body).poll_frame(cx)).await;
            match frame {
                None => return Ok(None),
                Some(Err(_)) => return Err(Failure::new(Code::Cancelled, "context canceled")),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    fn ended(&mut self) -> Result<Option<Bytes>, Failure> {
        let rest = self.arrived.len();
        if rest == 0 {
            return Ok(None);
        }
        let text = if rest <= PREFIX_BYTES {
            "EOF"
        } else {
            "unexpected EOF"
        };
        Err(self.fail(Failure::new(Code::Unknown, text)))
    }

    fn fail(&mut self, failure: Failure) -> Failure {
        self.state = Reading::Failed;
        self.arrived = Bytes::new();
        failure
    }
}

/// Bytes of the frame that `arrived` begins with.
fn wanted_bytes(arrived: &[u8]) -> Option<usize> {
    let [_, len @ ..] = arrived.first_chunk::<PREFIX_BYTES>()?;
    Some(PREFIX_BYTES + (u32::from_be_bytes(*len) as usize).min(MESSAGE_BYTES_MAX))
}

fn check_flag(flag: u8, encoding: Encoding) -> Result<(), Failure> {
    match (flag, encoding) {
        (0, _) => Ok(()),
        (1, Encoding::Identity) => {
            let text = "grpc: compressed flag set with identity or empty encoding";
            Err(Failure::new(Code::Internal, text))
        }
        (1, Encoding::Gzip) => Err(no_decompressor("gzip")),
        (other, _) => {
            let text = format!("grpc: received unexpected payload format {other}");
            Err(Failure::new(Code::Internal, text))
        }
    }
}

/// grpc-go's answer to a compression it has no code for.
pub(crate) fn no_decompressor(name: &str) -> Failure {
    let text = format!("grpc: Decompressor is not installed for grpc-encoding {name:?}");
    Failure::new(Code::Unimplemented, text)
}

#[cfg(test)]
mod tests;
