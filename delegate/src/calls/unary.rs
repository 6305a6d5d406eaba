//! One unary call over a link: one stream, one write, one answer.
//!
//! Invariant: once its stream is open, a call whose answer does not come has an unknown outcome, and
//! only one that leaves nothing behind is sent again.

use std::time::Instant;

use meridian_home::{Call, CallError, Fate, Home, Method, Reply};
use tokio::time::timeout_at;
use tonic::Code;

use super::{caller::Caller, convert};
use crate::link::{
    Kind, Parts, Recv, Send, StreamError,
    wire::{CallAnswer, CallHead, Outcome, answer},
};

/// Sendings of a call that leaves nothing behind, the first included.
const SENDINGS_MAX: u32 = 3;

/// Carries `call` to an outcome. Not cancel-safe: a dropped call has an unknown outcome.
pub(super) async fn carry(caller: &Caller, call: Call) -> Result<Reply, CallError> {
    let mut sent = 0;
    loop {
        let (send, recv) = caller.open(Kind::UnaryCall, call.deadline).await?;
        sent += 1;
        let answer = exchange(&call, send, recv);
        let answer = match call.deadline {
            None => answer.await,
            Some(deadline) => match timeout_at(deadline.into(), answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(CallError::deadline_passed(Fate::Unknown)),
            },
        };
        match answer {
            Ok(outcome) => return outcome,
            Err(_) if call.method.is_repeatable() && sent < SENDINGS_MAX => {}
            Err(_) => return Err(CallError::connection_lost()),
        }
    }
}

/// Sends and waits for the answer; an error is the link's.
async fn exchange(
    call: &Call,
    mut send: Send,
    mut recv: Recv,
) -> Result<Result<Reply, CallError>, StreamError> {
    let head = head(call.method, convert::entries(&call.metadata), call.deadline);
    let parts = Parts::new().message(&head).frame(call.message.clone());
    send.parts(parts).await?;
    send.finish();
    let CallAnswer { body } = recv.message().await?;
    match body {
        Some(answer::Body::Outcome(Outcome { metadata })) => {
            let message = recv.frame().await?.ok_or(StreamError::Ended)?;
            recv.settle();
            let metadata = convert::metadata(metadata).unwrap_or_default();
            Ok(Ok(Reply { metadata, message }))
        }
        Some(answer::Body::Failure(failure)) => Ok(Err(convert::call_error(failure))),
        Some(answer::Body::Facts(_) | answer::Body::YesNo(_) | answer::Body::Description(_))
        | None => Err(StreamError::Ended),
    }
}

/// What begins a call. Time left is rounded up: a deadline cut short would fail a call that had
/// time; that the client has gone by then is told by its dropping the call.
pub(super) fn head(
    method: Method,
    metadata: Vec<crate::link::wire::Entry>,
    deadline: Option<Instant>,
) -> CallHead {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    CallHead {
        method: method.path().to_owned(),
        metadata,
        timeout_ms: left.map(|left| {
            let ms = left.as_micros().div_ceil(1_000);
            u64::try_from(ms).unwrap_or(u64::MAX)
        }),
    }
}

/// What a head says; a call that cannot be understood was not sent to the home.
pub(super) fn understand(
    head: CallHead,
) -> Result<(Method, tonic::metadata::MetadataMap, Option<Instant>), CallError> {
    let CallHead {
        method,
        metadata,
        timeout_ms,
    } = head;
    let refused = |code, text: String| CallError::new(code, text, Fate::NotSent);
    let method = Method::from_path(&method).ok_or_else(|| {
        let text = format!("the hub knows no method {method}; is it of an older release?");
        refused(Code::Unimplemented, text)
    })?;
    let metadata = convert::metadata(metadata)
        .map_err(|error| refused(Code::InvalidArgument, error.to_string()))?;
    let deadline = timeout_ms.and_then(|ms| {
        // A deadline beyond the clock's end is none.
        Instant::now().checked_add(std::time::Duration::from_millis(ms))
    });
    Ok((method, metadata, deadline))
}

/// Answers one call for `home`.
pub(super) async fn serve(
    home: &dyn Home,
    mut send: Send,
    mut recv: Recv,
) -> Result<(), StreamError> {
    let head: CallHead = recv.message().await?;
    let message = recv.frame().await?.ok_or(StreamError::Ended)?;
    let stopped = send.stopped();
    let answer = async {
        let (method, metadata, deadline) = understand(head)?;
        let call = Call {
            method,
            metadata,
            message,
            deadline,
        };
        home.unary(call).await
    };
    let answer = tokio::select! {
        answer = answer => answer,
        // The client has gone: dropping the call is what it asks for.
        gone = stopped => return Err(gone),
    };
    let parts = match answer {
        Ok(Reply { metadata, message }) => {
            let metadata = convert::entries(&metadata);
            let outcome = answer::Body::Outcome(Outcome { metadata });
            Parts::new()
                .message(&CallAnswer::from(outcome))
                .frame(message)
        }
        Err(error) => {
            let failure = answer::Body::Failure(convert::failure(&error));
            Parts::new().message(&CallAnswer::from(failure))
        }
    };
    send.parts(parts).await?;
    send.finish();
    recv.settle();
    Ok(())
}
