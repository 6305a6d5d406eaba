//! Calls that go home, their bytes and metadata untouched.
//!
//! Invariant: a call is sent at most once, whatever its outcome.

use bytes::{Buf, Bytes};
use meridian_etcd_api::{EtcdError, Method};
use meridian_home::{Call as HomeCall, CallError, Replies, Reply, StreamCall};
use meridian_keyspace::Revision;
use tokio::sync::oneshot;

use crate::{
    call::{Answered, Call, Served},
    failure::Failure,
    metadata,
    stream::Requests,
    wire,
};

/// Sends a call home.
///
/// # Errors
/// The home's, or a fault on the way.
pub(crate) async fn unary(call: &Call<'_>, message: Bytes) -> Result<Answered, Failure> {
    let sent = call.engine().forward(home_call(call, message));
    let reply = call
        .in_time(async { sent.await.map_err(Failure::from) })
        .await?;
    Ok(answered(call, reply))
}

/// Sends a call home whose success the engine must learn of even if the client leaves before.
///
/// # Errors
/// As [`unary`].
pub(crate) async fn noted(call: &Call<'_>, message: Bytes) -> Result<Answered, Failure> {
    let (tell, told) = oneshot::channel();
    let engine = call.engine().clone();
    let sent = home_call(call, message.clone());
    let method = call.method;
    call.connection.door.tasks.spawn("noted call", async move {
        let outcome = engine.forward(sent).await;
        match &outcome {
            Ok(_) => note(&engine, method, &message),
            // Somebody else has compacted it: the same news.
            Err(error) if error.message == EtcdError::COMPACTED.message() => {
                note(&engine, method, &message);
            }
            Err(_) => {}
        }
        // The client may be gone.
        let _ = tell.send(outcome);
    });
    let outcome = call.in_time(async { Ok(told.await) }).await?;
    let reply = outcome.unwrap_or_else(|_| Err(stopped()))?;
    Ok(answered(call, reply))
}

fn note(engine: &meridian_engine::Engine, method: Method, message: &[u8]) {
    if method == Method::KvCompact {
        // `CompactionRequest.revision` is field 1, as a header's `cluster_id` is: a number.
        if let Some(revision) = number_field(message, 1) {
            engine.note_compaction(Revision::new(revision as i64));
        }
    } else {
        engine.note_auth_changed();
    }
}

fn stopped() -> CallError {
    CallError::refused(EtcdError::STOPPED.into())
}

/// Opens a streaming call at home.
///
/// # Errors
/// As [`unary`].
pub(crate) async fn stream(call: &Call<'_>, requests: Requests) -> Result<Replies, Failure> {
    use futures_util::StreamExt;
    let sent = StreamCall {
        method: call.method,
        metadata: metadata::to_home(call.headers),
        // A broken message half-closes: the client, whose fault it is, hears of it from us.
        requests: requests
            .take_while(|message| std::future::ready(message.is_ok()))
            .filter_map(async |message| message.ok())
            .boxed(),
    };
    let opened = call.engine().forward_stream(sent);
    call.in_time(async { opened.await.map_err(Failure::from) })
        .await
}

fn home_call(call: &Call<'_>, message: Bytes) -> HomeCall {
    HomeCall {
        method: call.method,
        metadata: metadata::to_home(call.headers),
        message,
        deadline: call.terms.deadline,
    }
}

fn answered(call: &Call<'_>, reply: Reply) -> Answered {
    if let Some(revision) = header_revision(&reply.message) {
        call.connection.shown(revision);
    }
    Answered {
        frame: wire::framed_bytes(&reply.message),
        served: Served::Home {
            metadata: metadata::from_home(reply.metadata),
        },
    }
}

/// The revision in an answer's header: field 3 of field 1, in every answer of etcd's.
pub(crate) fn header_revision(message: &[u8]) -> Option<Revision> {
    let header = slice_field(message, 1)?;
    number_field(header, 3).map(|number| Revision::new(number as i64))
}

/// The first field with this number, if it is a message.
fn slice_field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while message.has_remaining() {
        let (number, value) = field(&mut message)?;
        match value {
            Value::Slice(slice) if number == wanted => return Some(slice),
            Value::Slice(_) | Value::Number(_) | Value::Fixed => {}
        }
    }
    None
}

/// The first field with this number, if it is a varint.
fn number_field(mut message: &[u8], wanted: u64) -> Option<u64> {
    while message.has_remaining() {
        let (number, value) = field(&mut message)?;
        match value {
            Value::Number(value) if number == wanted => return Some(value),
            Value::Slice(_) | Value::Number(_) | Value::Fixed => {}
        }
    }
    None
}

enum Value<'a> {
    Number(u64),
    Slice(&'a [u8]),
    Fixed,
}

/// Takes one field off; none where the bytes make no sense.
fn field<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(message)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(message)?),
        1 => {
            take(message, 8)?;
            Value::Fixed
        }
        2 => {
            let len = usize::try_from(varint(message)?).ok()?;
            Value::Slice(take(message, len)?)
        }
        5 => {
            take(message, 4)?;
            Value::Fixed
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn take<'a>(message: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(len)?;
    *message = rest;
    Some(taken)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(message).ok()
}

#[cfg(test)]
mod tests;
