//! One streaming call over a link: tied to it from its opening to its end, and never reopened.

use bytes::Bytes;
use futures_util::StreamExt;
use meridian_home::{CallError, Home, Replies, StreamCall};
use meridian_runtime::TaskGroup;

use super::{
    caller::Caller,
    convert, duplex,
    unary::{head, understand},
};
use crate::link::{
    Kind, Parts, Recv, Send, StreamError,
    wire::{CallHead, Outcome, answer},
};

/// Opens `call`; returns when the home's answer has begun. Its requests and replies flow under
/// `tasks` until the replies are dropped.
pub(super) async fn open(
    caller: &Caller,
    call: StreamCall,
    tasks: &TaskGroup,
) -> Result<Replies, CallError> {
    let StreamCall {
        method,
        metadata,
        requests,
    } = call;
    let (mut send, recv) = caller.open(Kind::StreamingCall, None).await?;
    let head = head(method, convert::entries(&metadata), None);
    if send.parts(Parts::new().message(&head)).await.is_err() {
        return Err(CallError::connection_lost());
    }
    let opened = duplex::carry(send, recv, requests, tasks).await;
    let (body, messages) = opened.map_err(convert::call_error)?;
    let answer::Body::Outcome(Outcome { metadata }) = body else {
        return Err(CallError::connection_lost());
    };
    Ok(Replies {
        metadata: convert::metadata(metadata).unwrap_or_default(),
        messages: messages
            .map(|message| message.map_err(convert::call_error))
            .boxed(),
    })
}

/// Answers one call for `home`, until either side ends it.
pub(super) async fn serve(home: &dyn Home, send: Send, mut recv: Recv) -> Result<(), StreamError> {
    let head: CallHead = recv.message().await?;
    let open = async |requests| {
        let (method, metadata, _) = understand(head).map_err(|e| convert::failure(&e))?;
        let call = StreamCall {
            method,
            metadata,
            requests,
        };
        let Replies { metadata, messages } = home
            .stream(call)
            .await
            .map_err(|error| convert::failure(&error))?;
        let metadata = convert::entries(&metadata);
        let told = |message: Result<Bytes, CallError>| message.map_err(|e| convert::failure(&e));
        Ok((
            answer::Body::Outcome(Outcome { metadata }),
            messages.map(told).boxed(),
        ))
    };
    duplex::answer(send, recv, open).await;
    Ok(())
}
