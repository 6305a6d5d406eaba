//! One HTTP/2 connection as the service that tonic's client drives.
//!
//! Owns the step from hyper's errors to a [`Fault`], for a call's start and for its body, and the
//! check that the answer is gRPC at all. Knows no endpoint and resends nothing.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use tonic::client::Grpc;
use tower_service::Service;

use super::fault::Fault;

/// What every gRPC answer's content type begins with, whatever its message encoding.
const GRPC: &[u8] = b"application/grpc";

/// A gRPC client on one connection; cloning it shares the connection.
pub(super) type Client = Grpc<Channel>;

/// The sending half of one HTTP/2 connection.
#[derive(Clone)]
pub(super) struct Channel {
    sender: SendRequest<tonic::body::Body>,
}

impl Channel {
    /// Calls go to `sender`'s connection.
    pub(super) fn new(sender: SendRequest<tonic::body::Body>) -> Self {
        Self { sender }
    }

    /// Whether no call can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// A client without limits of its own on messages: etcd's are in force, and its own client
    /// takes answers up to 2 GiB.
    pub(super) fn into_client(self, origin: http::Uri) -> Client {
        Grpc::with_origin(self, origin)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }
}

impl Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<ReplyBody>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        // hyper queues until the peer has room; the callers' admission bounds the queue.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let answer = self.sender.try_send_request(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => accept(response),
                Err(error) if error.message().is_some() => {
                    Err(Fault::of_returned(&error.into_error()))
                }
                Err(error) => Err(Fault::of_sent(&error.into_error())),
            }
        })
    }
}

fn accept(response: Response<Incoming>) -> Result<Response<ReplyBody>, Fault> {
    let is_grpc = response.status() == StatusCode::OK
        && response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|v| v.as_bytes().starts_with(GRPC));
    if is_grpc {
        Ok(response.map(ReplyBody))
    } else {
        Err(Fault::NotGrpc(response.status()))
    }
}

/// A reply's body, failing with a [`Fault`].
pub(super) struct ReplyBody(Incoming);

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(context));
        // Part of the answer has arrived, so whatever fails now, the call was processed.
        Poll::Ready(frame.map(|frame| frame.map_err(|e| Fault::Lost(e.to_string()))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
