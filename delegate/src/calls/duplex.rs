//! Messages both ways over one stream: streaming calls, and the changes of a range.
//!
//! Each frame begins with a tag. The side that opened the stream says with [`END`] that it has no more
//! messages, and goes on giving credit; the side that answers ends with [`FAILURE`] or with the
//! stream's end, which is success. Invariants: reading never waits for a consumer (see
//! [`flow`](super::flow)); whoever goes away resets the stream, which drops the call at the other
//! side.

mod messages;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use meridian_home::CallError;
use meridian_runtime::TaskGroup;
use prost::Message;
use tokio::sync::oneshot;

use super::flow::Flow;
use crate::link::{
    Parts, Recv, Send, StreamError,
    wire::{CallAnswer, Failure, answer},
};

pub(super) use messages::Messages;
use messages::{Arrivals, arrivals};

/// A message.
const MESSAGE: u8 = 0;
/// No more messages from the side that opened.
const END: u8 = 1;
/// The call has failed; the last frame of the side that answers.
const FAILURE: u8 = 2;
/// Bytes that were read, as varint.
const CREDIT: u8 = 3;

/// What the answering side sends, and whether it ends well.
pub(super) type Answers = BoxStream<'static, Result<Bytes, Failure>>;

/// Carries a call whose head has been sent: gives `requests` to the other side and gets its answer,
/// then its messages. The rest of the call runs under `tasks` until the messages are dropped.
///
/// # Errors
/// The other side's failure, or that the link was lost.
pub(super) async fn carry(
    send: Send,
    recv: Recv,
    requests: BoxStream<'static, Bytes>,
    tasks: &TaskGroup,
) -> Result<(answer::Body, Messages), Failure> {
    let flow = Arc::new(Flow::new());
    let (arrivals, messages) = arrivals(flow.clone());
    let (answered, answer) = oneshot::channel();
    let token = tasks.token().child_token();
    let messages = messages.ending(token.clone());
    let requests = requests.map(Ok).boxed();
    tasks.spawn("call", async move {
        let mut send = send;
        let reading = read_answers(recv, &flow, arrivals, answered);
        let writing = async {
            write(&mut send, &flow, requests, Last::IsSaid).await;
            // The other side wants no more of ours; its answers still come.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
            () = token.cancelled() => {}
        }
    });
    match answer.await {
        Ok(CallAnswer { body: Some(body) }) => match body {
            answer::Body::Failure(failure) => Err(failure),
            body => Ok((body, messages)),
        },
        // The task ended without an answer, or with one that this release does not know.
        Ok(CallAnswer { body: None }) | Err(_) => Err(lost()),
    }
}

/// What a call's end without an answer is told as.
pub(super) fn lost() -> Failure {
    super::convert::failure(&CallError::connection_lost())
}

async fn read_answers(
    mut recv: Recv,
    flow: &Flow,
    arrivals: Arrivals,
    answered: oneshot::Sender<CallAnswer>,
) {
    let Ok(answer) = recv.message().await else {
        return;
    };
    if answered.send(answer).is_err() {
        return;
    }
    loop {
        match next(&mut recv, flow).await {
            Ok(Some(Arrived::Message(bytes))) => match flow.arrived(bytes.len()) {
                Ok(()) => arrivals.put(Ok(bytes)),
                Err(_) => return arrivals.put(Err(lost())),
            },
            Ok(Some(Arrived::Failure(failure))) => return arrivals.put(Err(failure)),
            Ok(Some(Arrived::Credited | Arrived::End)) => {}
            Ok(None) => return arrivals.end(),
            Err(_) => return arrivals.put(Err(lost())),
        }
    }
}

/// Answers a call whose head has been read: `open` gets the requests and gives the answer with the
/// messages. Ends when the call does, or when the other side drops it.
pub(super) async fn answer<F>(
    mut send: Send,
    recv: Recv,
    open: impl FnOnce(BoxStream<'static, Bytes>) -> F,
) where
    F: Future<Output = Result<(answer::Body, Answers), Failure>>,
{
    let flow = Arc::new(Flow::new());
    let (arrivals, requests) = arrivals(flow.clone());
    let requests = requests.take_while(|request| std::future::ready(request.is_ok()));
    let requests = requests.filter_map(|request| std::future::ready(request.ok()));
    let stopped = send.stopped();
    let reading = read_requests(recv, &flow, arrivals);
    let answering = async {
        let (body, messages) = match open(requests.boxed()).await {
            Ok(opened) => opened,
            Err(failure) => (answer::Body::Failure(failure), stream::empty().boxed()),
        };
        if send.message(&CallAnswer::from(body)).await.is_ok() {
            write(&mut send, &flow, messages, Last::IsTheEnd).await;
        }
    };
    tokio::select! {
        () = answering => {}
        () = reading => {}
        _ = stopped => {}
    }
}

/// Returns when the other side has dropped the call.
async fn read_requests(mut recv: Recv, flow: &Flow, arrivals: Arrivals) {
    let mut arrivals = Some(arrivals);
    loop {
        match next(&mut recv, flow).await {
            Ok(Some(Arrived::Message(bytes))) => {
                if flow.arrived(bytes.len()).is_err() {
                    return;
                }
                if let Some(arrivals) = &arrivals {
                    arrivals.put(Ok(bytes));
                }
            }
            Ok(Some(Arrived::End)) => {
                if let Some(arrivals) = arrivals.take() {
                    arrivals.end();
                }
            }
            Ok(Some(Arrived::Credited)) => {}
            Ok(Some(Arrived::Failure(_)) | None) | Err(_) => return,
        }
    }
}

/// What a side says when it has no more messages.
enum Last {
    IsSaid,
    IsTheEnd,
}

/// Sends messages as credit allows, and credit as it falls due, until there are no more messages
/// or the other side wants none.
async fn write(
    send: &mut Send,
    flow: &Flow,
    mut messages: BoxStream<'static, Result<Bytes, Failure>>,
    last: Last,
) {
    let mut ended = false;
    loop {
        let mut parts = Parts::new();
        if let Some(bytes) = flow.take_due() {
            parts = parts.tagged(CREDIT, varint(bytes));
        } else {
            tokio::select! {
                message = messages.next(), if !ended && flow.may_send() => match (message, &last) {
                    (Some(Ok(bytes)), _) => {
                        flow.sent(bytes.len());
                        parts = parts.tagged(MESSAGE, bytes);
                    }
                    (Some(Err(failure)), _) => {
                        let failure = Bytes::from(failure.encode_to_vec());
                        if send.parts(parts.tagged(FAILURE, failure)).await.is_ok() {
                            send.finish();
                        }
                        return;
                    }
                    (None, Last::IsTheEnd) => return send.finish(),
                    (None, Last::IsSaid) => {
                        ended = true;
                        parts = parts.tagged(END, Bytes::new());
                    }
                },
                () = flow.changed() => continue,
            }
        }
        if send.parts(parts).await.is_err() {
            return;
        }
    }
}

/// What a frame brought.
enum Arrived {
    Message(Bytes),
    End,
    Failure(Failure),
    Credited,
}

/// The next frame, credit already taken; none at the stream's end.
async fn next(recv: &mut Recv, flow: &Flow) -> Result<Option<Arrived>, StreamError> {
    let Some(mut frame) = recv.frame().await? else {
        return Ok(None);
    };
    if frame.is_empty() {
        return Err(StreamError::Ended);
    }
    let tag = frame.split_to(1)[0];
    match tag {
        MESSAGE => Ok(Some(Arrived::Message(frame))),
        END => Ok(Some(Arrived::End)),
        FAILURE => Ok(Some(Arrived::Failure(Failure::decode(frame)?))),
        CREDIT => {
            flow.credited(prost::encoding::decode_varint(&mut frame)?);
            Ok(Some(Arrived::Credited))
        }
        // A release after this one says more; what it says is not needed to go on.
        _ => Ok(Some(Arrived::Credited)),
    }
}

fn varint(value: u64) -> Bytes {
    let mut bytes = BytesMut::with_capacity(10);
    prost::encoding::encode_varint(value, &mut bytes);
    bytes.freeze()
}
