//! Goal: messages are found wherever the transport cut them. Fan-out itself needs a server: `meridian-bench` runs it.

use bytes::{BufMut, BytesMut};

use super::*;
use reader::take_messages;

#[test]
fn messages_are_whole_wherever_the_transport_cut_them() {
    let mut wire = BytesMut::new();
    for length in [0_usize, 1, 300, 7] {
        wire.put_u8(0);
        wire.put_u32(length as u32);
        wire.put_bytes(b'm', length);
    }
    let wire = wire.freeze();
    for cut in 1..wire.len() {
        let (mut rest, mut lengths) = (BytesMut::new(), Vec::new());
        for chunk in wire.chunks(cut) {
            let chunk = Bytes::copy_from_slice(chunk);
            take_messages(&mut rest, chunk, |message| lengths.push(message.len()));
        }
        assert_eq!(
            (lengths, rest.len()),
            (vec![0, 1, 300, 7], 0),
            "cut every {cut}"
        );
    }
}

#[test]
fn connections_share_the_watchers_evenly() {
    let shares = |watchers: usize, connections: usize| -> Vec<usize> {
        (0..connections)
            .map(|number| (watchers + number) / connections)
            .collect()
    };
    assert_eq!(shares(10, 4), [2, 2, 3, 3]);
    assert_eq!(shares(200, 8).iter().sum::<usize>(), 200);
}
