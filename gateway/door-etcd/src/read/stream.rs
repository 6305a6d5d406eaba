//! `KV.RangeStream` (etcd 3.7): a range in pieces, each sent when it was read.
//!
//! All pieces merged are the `RangeResponse` that `Range` would have given. Records go out in key
//! order only: a custom sort or a filter would hold everything back, and is refused as by etcd.

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use meridian_engine::{Admitted, View};
use meridian_etcd_api::etcdserverpb::RangeRequest;
use meridian_keyspace::{RangeAnswer, shared::Step};
use tokio::sync::mpsc;
use tonic::Code;

use super::{admit, decode, local, part_of, query_of};
use crate::{
    body::Frames,
    call::Call,
    failure::{Failure, Unread},
    stream::{self as streams, Opened, Requests},
    wire,
};

/// Pieces read ahead of the client; each is at most one chunk of a scan.
const PIECES_AHEAD: usize = 2;

/// `RangeStreamResponse.range_response`.
const TAG_RANGE_RESPONSE: u8 = 0x0a;

/// Opens the stream.
///
/// # Errors
/// As `Range`.
pub(crate) async fn open(call: &Call<'_>, requests: Requests) -> Result<Opened, Failure> {
    let message = streams::only(requests).await?;
    let request = decode(&message)?;
    if !query_of(&request).is_natural() {
        let text = "etcdserver: range stream supports neither sorting nor revision filters";
        return Err(Failure::new(Code::Unimplemented, text));
    }
    let terms = call.read_terms(request.serializable);
    let view = match admit(call, terms).await? {
        Admitted::Local(view) => view,
        Admitted::Forward => return streams::tunnel(call, streams::once(message)).await,
    };
    let mut pieces = read_ahead(call, view.clone(), request);
    // The first piece tells whether the revision can be read at all.
    match pieces.recv().await {
        Some(Err(Unread::AskHome)) => streams::tunnel(call, streams::once(message)).await,
        Some(Err(Unread::Failed(failure))) => Err(failure),
        Some(Ok(first)) => Ok(Opened {
            frames: frames(first, pieces),
            served: local(&view),
        }),
        None => Err(meridian_etcd_api::EtcdError::STOPPED.into()),
    }
}

type Piece = Result<Bytes, Unread>;

fn frames(first: Bytes, rest: mpsc::Receiver<Piece>) -> Frames {
    Box::pin(stream::unfold(
        (Some(first), rest),
        async |(first, mut rest)| {
            let piece = match first {
                Some(first) => Ok(first),
                None => rest.recv().await?.map_err(|unread| match unread {
                    Unread::Failed(failure) => failure,
                    Unread::AskHome => meridian_etcd_api::EtcdError::COMPACTED.into(),
                }),
            };
            Some((piece, (None, rest)))
        },
    ))
}

/// Scans in a task of its own, a few pieces ahead of the client; the task ends when the client
/// goes.
fn read_ahead(call: &Call<'_>, view: View, request: RangeRequest) -> mpsc::Receiver<Piece> {
    let (send, receive) = mpsc::channel(PIECES_AHEAD);
    let connection = call.connection.clone();
    connection.shown(view.facts.revision);
    connection.door.tasks.spawn("range stream", async move {
        let mut scan = match view.keyspace.scan(query_of(&request)) {
            Ok(scan) => scan,
            Err(error) => {
                let _ = send.send(Err(error.into())).await;
                return;
            }
        };
        let part = part_of(&request);
        loop {
            let mut answer = wire::Answer::with_capacity(super::RANGE_BYTES);
            let body = answer.body();
            let step = scan.step(&mut |record| wire::range::put_record(body, record, part));
            let (message, last) = match step {
                Step::More => (answer.into_body(), false),
                Step::Done(found) => (last_message(answer, &view, &found), true),
            };
            if send.send(Ok(piece(&message))).await.is_err() || last {
                return;
            }
        }
    });
    receive
}

fn last_message(answer: wire::Answer, view: &View, found: &RangeAnswer) -> Bytes {
    let mut frame = wire::range::finish(answer, &view.facts, found);
    frame.split_off(wire::PREFIX_BYTES)
}

fn piece(range_response: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(range_response.len() + 16);
    wire::put_slice(&mut message, TAG_RANGE_RESPONSE, range_response);
    wire::framed_bytes(&message)
}
