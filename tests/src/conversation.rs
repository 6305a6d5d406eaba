//! One gRPC stream in both directions, with the client's half in the test's hand.
//!
//! The stream is opened by a task, because a server may hold its response headers back until its first
//! answer. Requests sent before that are kept and go out in order.

use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use http::uri::PathAndQuery;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{
    Code, Request, Status, client::Grpc, codec::Codec, metadata::MetadataMap, transport::Channel,
};

/// How long an answer that must come may take.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Answers kept for a test that is not reading: above this, flow control reaches the server.
const ANSWERS_KEPT: usize = 16;

/// An open stream; dropping it cancels the stream.
#[derive(Debug)]
pub struct Conversation<Q, A> {
    requests: Option<mpsc::UnboundedSender<Q>>,
    answers: mpsc::Receiver<Result<A, Status>>,
    opened: Option<oneshot::Receiver<MetadataMap>>,
    task: tokio::task::JoinHandle<()>,
}

impl<Q: Send + Sync + 'static, A: Send + Sync + 'static> Conversation<Q, A> {
    pub(crate) fn open<C>(
        mut grpc: Grpc<Channel>,
        metadata: MetadataMap,
        path: &'static str,
        codec: C,
    ) -> Self
    where
        C: Codec<Encode = Q, Decode = A> + Send + Sync + 'static,
    {
        let (requests, outgoing) = mpsc::unbounded_channel();
        let (incoming, answers) = mpsc::channel(ANSWERS_KEPT);
        let (opening, opened) = oneshot::channel();
        let mut request = Request::new(UnboundedReceiverStream::new(outgoing));
        *request.metadata_mut() = metadata;
        let task = tokio::spawn(async move {
            let path = PathAndQuery::from_static(path);
            let started = match grpc.ready().await {
                Ok(()) => grpc.streaming(request, path, codec).await,
                Err(error) => Err(Status::unavailable(format!("connect: {error}"))),
            };
            let mut stream = match started {
                Ok(response) => {
                    let (metadata, stream, _) = response.into_parts();
                    // A test that does not look at the headers has dropped its end.
                    drop(opening.send(metadata));
                    stream
                }
                Err(status) => return drop(incoming.send(Err(status)).await),
            };
            while let Some(answer) = stream.next().await {
                if incoming.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Self {
            requests: Some(requests),
            answers,
            opened: Some(opened),
            task,
        }
    }

    /// Sends one message; a stream that has ended swallows it, as a network would.
    pub fn send(&mut self, message: Q) {
        if let Some(requests) = &self.requests {
            drop(requests.send(message));
        }
    }

    /// Says that no more requests come; the server may go on answering.
    pub fn half_close(&mut self) {
        self.requests = None;
    }

    /// The response headers.
    ///
    /// # Errors
    /// When the stream could not be opened.
    pub async fn headers(&mut self) -> Result<MetadataMap> {
        let Some(opened) = self.opened.take() else {
            bail!("the headers have been taken")
        };
        Ok(crate::wait::within(ANSWER_PATIENCE, "response headers", opened).await??)
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the stream ends instead, or nothing comes for [`ANSWER_PATIENCE`].
    pub async fn next(&mut self) -> Result<A> {
        self.next_within(ANSWER_PATIENCE).await
    }

    /// The next answer, if it comes within `patience`.
    ///
    /// # Errors
    /// When the stream ends instead, or nothing comes.
    pub async fn next_within(&mut self, patience: Duration) -> Result<A> {
        match tokio::time::timeout(patience, self.answers.recv()).await {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(status))) => {
                bail!("the stream ended: {:?} {}", status.code(), status.message())
            }
            Ok(None) => bail!("the stream ended: Ok"),
            Err(_) => bail!("no answer on the stream within {patience:?}"),
        }
    }

    /// How the stream ends: no further answer may come before that.
    ///
    /// # Errors
    /// When an answer comes first, or the stream stays open for `patience`.
    pub async fn ends(&mut self, patience: Duration) -> Result<(Code, String)> {
        match tokio::time::timeout(patience, self.answers.recv()).await {
            Ok(None) => Ok((Code::Ok, String::new())),
            Ok(Some(Err(status))) => Ok((status.code(), status.message().to_owned())),
            Ok(Some(Ok(_))) => bail!("an answer came where the stream should have ended"),
            Err(_) => bail!("the stream is still open after {patience:?}"),
        }
    }
}

impl<Q, A> Drop for Conversation<Q, A> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
