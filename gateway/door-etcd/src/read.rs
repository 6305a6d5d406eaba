//! `KV.Range` from the replica, under the read level asked for.
//!
//! Invariant: an answer holds one revision's records, whole, however many chunks it was read in.
//! Reading one key costs one lock, one buffer and no other allocation.

mod query;
mod stream;

use bytes::Bytes;
use meridian_engine::{Admitted, View};
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_keyspace::{Revision, shared::Step};
use prost::Message;
use tonic::Code;

use crate::{
    call::{Answered, Call, Served},
    failure::{Failure, Unread},
    forward,
    metadata::ReadTerms,
    wire,
};

pub(crate) use query::{filter_of, limit_of, order_of, part_of, query_of, refusal, target_of};
pub(crate) use stream::open;

/// What a message may come to: the limit that etcd's server sends with (`math.MaxInt32`).
const ANSWER_BYTES_MAX: usize = i32::MAX as usize;

/// First guess at the size of a range's answer; it grows by doubling.
const RANGE_BYTES: usize = 16 << 10;

/// Answers a `Range` of one key that may be read now.
pub(crate) fn at_once(call: &Call<'_>, message: &Bytes) -> Option<Result<Answered, Failure>> {
    let request = match decode(message) {
        Ok(request) => request,
        Err(failure) => return Some(Err(failure)),
    };
    if !query::is_point(&request) {
        return None;
    }
    let terms = call.read_terms(request.serializable);
    let view = call.engine().admit_now(&terms.level, terms.floor)?;
    Some(Ok(point(call, &view, &request.key)))
}

/// Answers a `Range`.
///
/// # Errors
/// As etcd, and that the level asked for cannot be kept.
pub(crate) async fn range(call: &Call<'_>, message: Bytes) -> Result<Answered, Failure> {
    let request = decode(&message)?;
    let terms = call.read_terms(request.serializable);
    let view = match call.engine().admit_now(&terms.level, terms.floor) {
        Some(view) => view,
        None => match admit(call, terms).await? {
            Admitted::Local(view) => view,
            Admitted::Forward => return Box::pin(forward::unary(call, message)).await,
        },
    };
    if query::is_point(&request) {
        return Ok(point(call, &view, &request.key));
    }
    Box::pin(scan(call, &view, request, message)).await
}

/// Reads a request and refuses what etcd refuses before it reads.
///
/// # Errors
/// As etcd's.
pub(crate) fn decode(message: &Bytes) -> Result<RangeRequest, Failure> {
    let request =
        RangeRequest::decode(message.clone()).map_err(|error| Failure::unmarshal(&error))?;
    match refusal(&request) {
        None => Ok(request),
        Some(refused) => Err(refused.into()),
    }
}

/// Waits for admission, at most until the client's deadline.
///
/// # Errors
/// Why the level cannot be kept.
pub(crate) async fn admit(call: &Call<'_>, terms: ReadTerms) -> Result<Admitted, Failure> {
    let ReadTerms { level, floor } = terms;
    let admitted = call.engine().admit(level, floor, call.terms.deadline).await;
    admitted.map_err(|error| {
        if call.is_late() {
            Failure::deadline()
        } else {
            error.into()
        }
    })
}

fn point(call: &Call<'_>, view: &View, key: &[u8]) -> Answered {
    let mut answer = None;
    let revision = view
        .keyspace
        .get_into(key, |record| answer = Some(wire::range::point(record)));
    let answer = answer.expect("get_into calls its sink exactly once");
    let mut facts = view.facts;
    facts.revision = revision;
    call.connection.shown(revision);
    Answered {
        frame: answer.finish(&facts),
        served: local(view),
    }
}

async fn scan(
    call: &Call<'_>,
    view: &View,
    request: RangeRequest,
    message: Bytes,
) -> Result<Answered, Failure> {
    match call
        .in_time(async { Ok(frame(view, &request).await) })
        .await?
    {
        Ok((frame, revision)) => {
            call.connection.shown(revision);
            Ok(Answered {
                frame,
                served: local(view),
            })
        }
        Err(Unread::AskHome) => forward::unary(call, message).await,
        Err(Unread::Failed(failure)) => Err(failure),
    }
}

/// The whole answer, read chunk by chunk, and its header's revision.
async fn frame(view: &View, request: &RangeRequest) -> Result<(Bytes, Revision), Unread> {
    let part = part_of(request);
    let mut scan = view.keyspace.scan(query_of(request))?;
    let mut answer = wire::Answer::with_capacity(RANGE_BYTES);
    let found = loop {
        let body = answer.body();
        match scan.step(&mut |record| wire::range::put_record(body, record, part)) {
            Step::Done(found) => break found,
            Step::More => {}
        }
        if answer.body_bytes() > ANSWER_BYTES_MAX {
            return Err(Unread::Failed(too_large(answer.body_bytes())));
        }
        tokio::task::yield_now().await;
    };
    Ok((
        wire::range::finish(answer, &view.facts, &found),
        found.current,
    ))
}

/// grpc-go's words; ours names the size at which we stopped, not the whole.
fn too_large(bytes: usize) -> Failure {
    let text =
        format!("grpc: trying to send message larger than max ({bytes} vs. {ANSWER_BYTES_MAX})");
    Failure::new(Code::ResourceExhausted, text)
}

/// Who answered, for an answer from `view`.
pub(crate) fn local(view: &View) -> Served {
    let known = view.staleness != std::time::Duration::MAX;
    Served::Local {
        staleness: known.then_some(view.staleness),
    }
}
