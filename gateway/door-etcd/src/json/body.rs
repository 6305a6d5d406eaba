//! Request bodies: one JSON value, or one after another.
//!
//! Invariant: a body holds at most [`BODY_BYTES_MAX`] bytes that are not yet a whole value.

use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http_body::Body;
use meridian_etcd_api::{Dialect, Method, request_from_json};
use serde::de::IgnoredAny;
use tonic::Code;

use crate::{failure::Failure, frame::MESSAGE_BYTES_MAX, stream::Requests};

/// A message of the largest size in base64 (4/3) with JSON around it, and as much again so that a
/// larger one is told the limit of messages rather than of bodies.
const BODY_BYTES_MAX: usize = MESSAGE_BYTES_MAX * 4;

/// The request message that a whole body describes.
pub(super) async fn message<B>(
    method: Method,
    dialect: Dialect,
    mut body: B,
) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut text = BytesMut::new();
    while let Some(piece) = piece(&mut body).await? {
        put(&mut text, &piece)?;
    }
    encode(method, dialect, &text)
}

/// The request messages that a body's values describe, each as soon as it has arrived.
pub(super) fn messages<B>(method: Method, dialect: Dialect, body: B) -> Requests
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    let values = Values {
        method,
        dialect,
        body,
        text: BytesMut::new(),
        open: true,
    };
    stream::unfold(Some(values), async |state| {
        let mut values = state?;
        let text = values.next().await.transpose()?;
        let message = text.and_then(|text| encode(values.method, values.dialect, &text));
        let next = message.is_ok().then_some(values);
        Some((message, next))
    })
    .boxed()
}

struct Values<B> {
    method: Method,
    dialect: Dialect,
    body: B,
    text: BytesMut,
    open: bool,
}

impl<B> Values<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// The text of the next value.
    async fn next(&mut self) -> Result<Option<BytesMut>, Failure> {
        loop {
            if let Some(value) = self.cut()? {
                return Ok(Some(value));
            }
            if !self.open {
                return Ok(None);
            }
            match piece(&mut self.body).await? {
                Some(piece) => put(&mut self.text, &piece)?,
                None => self.open = false,
            }
        }
    }

    /// Cuts off the first value, if it is there to its end.
    fn cut(&mut self) -> Result<Option<BytesMut>, Failure> {
        let mut values = serde_json::Deserializer::from_slice(&self.text).into_iter::<IgnoredAny>();
        match values.next() {
            None => Ok(None),
            Some(Ok(IgnoredAny)) => {
                let end = values.byte_offset();
                Ok(Some(self.text.split_to(end)))
            }
            Some(Err(error)) if error.is_eof() && self.open => Ok(None),
            Some(Err(error)) => Err(Failure::new(Code::InvalidArgument, error.to_string())),
        }
    }
}

fn put(text: &mut BytesMut, piece: &[u8]) -> Result<(), Failure> {
    if text.len() + piece.len() > BODY_BYTES_MAX {
        let text = format!("meridian: request body larger than {BODY_BYTES_MAX} bytes");
        return Err(Failure::new(Code::ResourceExhausted, text));
    }
    text.extend_from_slice(piece);
    Ok(())
}

fn encode(method: Method, dialect: Dialect, text: &[u8]) -> Result<Bytes, Failure> {
    let message = request_from_json(method, text, dialect)
        .map_err(|error| Failure::new(Code::InvalidArgument, error.to_string()))?;
    if message.len() > MESSAGE_BYTES_MAX {
        let len = message.len();
        let text =
            format!("grpc: received message larger than max ({len} vs. {MESSAGE_BYTES_MAX})");
        return Err(Failure::new(Code::ResourceExhausted, text));
    }
    Ok(message)
}

async fn piece<B>(body: &mut B) -> Result<Option<Bytes>, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
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
