//! The one response body of this door.
//!
//! Invariant: a gRPC body ends with exactly one set of trailers; a body polled after its end says
//! that it ended.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Body, Frame, SizeHint};

use crate::failure::Failure;

/// What a streaming call sends: framed messages, several in one piece where that saves writes. An
/// error is the last item.
pub(crate) type Frames = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// Bytes of a body that ends without trailers.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const STATUS_OK: HeaderValue = HeaderValue::from_static("0");

/// A response body.
pub(crate) enum DoorBody {
    /// Nothing (more).
    Empty,
    /// Plain bytes.
    Full(Bytes),
    /// One gRPC message, then status OK.
    Message(Bytes),
    /// The trailers of a call that went well.
    StatusOk,
    /// The messages of a streaming call, then its status.
    Stream(Frames),
    /// Pieces of a body without trailers.
    Pieces(Pieces),
}

impl Body for DoorBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (frame, next) = match std::mem::replace(&mut *self, Self::Empty) {
            Self::Empty => return Poll::Ready(None),
            Self::Full(bytes) => (Frame::data(bytes), Self::Empty),
            Self::Message(frame) => (Frame::data(frame), Self::StatusOk),
            Self::StatusOk => (Frame::trailers(ok_trailers()), Self::Empty),
            Self::Stream(frames) => return self.poll_stream(frames, cx),
            Self::Pieces(mut pieces) => match pieces.as_mut().poll_next(cx) {
                Poll::Pending => {
                    *self = Self::Pieces(pieces);
                    return Poll::Pending;
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(piece)) => (Frame::data(piece), Self::Pieces(pieces)),
            },
        };
        *self = next;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Message(_) | Self::StatusOk | Self::Stream(_) | Self::Pieces(_) => {
                SizeHint::default()
            }
        }
    }
}

impl DoorBody {
    fn poll_stream(
        mut self: Pin<&mut Self>,
        mut frames: Frames,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = frames.as_mut().poll_next(cx);
        if polled.is_pending() {
            *self = Self::Stream(frames);
            return Poll::Pending;
        }
        let trailers = match ready!(polled) {
            Some(Ok(piece)) => {
                *self = Self::Stream(frames);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            Some(Err(failure)) => {
                let mut trailers = HeaderMap::new();
                failure.write_to(&mut trailers);
                trailers
            }
            None => ok_trailers(),
        };
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }
}

fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, STATUS_OK);
    trailers
}

#[cfg(test)]
mod tests;
