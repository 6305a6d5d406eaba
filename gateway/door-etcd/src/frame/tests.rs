//! Goal: messages come out of a body whole, however it was cut, and faults are told as by grpc-go.

use std::collections::VecDeque;

use http_body::Frame;
use proptest::prelude::*;

use super::*;

/// A body that arrives in these pieces.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|message| crate::wire::framed_bytes(message).to_vec())
        .collect()
}

fn reader(bytes: &[u8], piece_len: usize) -> Messages<Pieces> {
    let pieces = bytes
        .chunks(piece_len)
        .map(Bytes::copy_from_slice)
        .collect();
    Messages::new(Pieces(pieces), Encoding::Identity)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("the body never waits")
}

fn refusal(bytes: &[u8]) -> (Code, String) {
    let failure = now(reader(bytes, 7).only()).unwrap_err();
    (failure.code, failure.message.into_owned())
}

proptest! {
    #[test]
    fn messages_survive_any_cut(
        messages in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        piece_len in 1_usize..50,
    ) {
        let mut reader = reader(&framed(&messages), piece_len);
        for message in &messages {
            let read = now(reader.next()).unwrap().unwrap();
            prop_assert_eq!(&read[..], &message[..]);
        }
        prop_assert!(now(reader.next()).unwrap().is_none());
    }
}

#[test]
fn a_unary_call_takes_the_first_message_and_reads_the_rest_away() {
    let bytes = framed(&[b"one".to_vec(), b"two".to_vec()]);
    assert_eq!(&now(reader(&bytes, 5).only()).unwrap()[..], b"one");
}

#[test]
fn broken_framing_is_told_as_by_grpc_go() {
    assert_eq!(refusal(b""), (Code::Unknown, "EOF".to_owned()));
    assert_eq!(refusal(b"\0\0\0"), (Code::Unknown, "EOF".to_owned()));
    assert_eq!(
        refusal(b"\0\0\0\0\x09foo"),
        (Code::Unknown, "unexpected EOF".to_owned())
    );
    let flagged = "grpc: compressed flag set with identity or empty encoding";
    assert_eq!(
        refusal(b"\x01\0\0\0\0"),
        (Code::Internal, flagged.to_owned())
    );
    let odd = "grpc: received unexpected payload format 2";
    assert_eq!(refusal(b"\x02\0\0\0\0"), (Code::Internal, odd.to_owned()));
}

#[test]
fn a_message_over_the_limit_is_refused_before_it_arrives() {
    let len = (MESSAGE_BYTES_MAX as u32 + 1).to_be_bytes();
    let prefix = [&[0], &len[..]].concat();
    let text = "grpc: received message larger than max (2097153 vs. 2097152)";
    assert_eq!(refusal(&prefix), (Code::ResourceExhausted, text.to_owned()));
}

#[test]
fn nothing_is_read_after_a_fault() {
    let bytes = [b"\x02\0\0\0\0".to_vec(), framed(&[b"ok".to_vec()])].concat();
    let mut reader = reader(&bytes, 64);
    assert!(now(reader.next()).is_err());
    assert!(now(reader.next()).unwrap().is_none());
}
