//! Goal: who may make a link and who may not, and what a stream carries. Method: real QUIC on
//! loopback between ports in this process, certificates made on the spot.

use std::{fs, time::Duration};

use bytes::Bytes;
use rcgen::SanType;
use tokio::time::timeout;

use super::{
    wire::{Control, Heartbeat, Place, Why, control},
    *,
};
use crate::testing::{Authority, Logged, Office, Pair, Port, SOON, node, noise};

#[tokio::test]
async fn each_end_knows_the_other_by_its_certificate() {
    let pair = Pair::new().await;
    assert_eq!(*pair.link.peer(), node("us", "hub-1"));
    assert_eq!(*pair.accepted.peer(), node("eu", "gw-1"));
    assert!(pair.link.bytes().sent > 0);
    assert!(pair.link.rtt().smoothed > Duration::ZERO);
}

#[tokio::test]
async fn a_certificate_of_another_region_or_name_opens_no_port() {
    let authority = Authority::new();
    let config = authority.issue(&node("eu", "gw-1"), Office::Member);
    for claimed in [node("us", "gw-1"), node("eu", "gw-2")] {
        let tasks = meridian_runtime::TaskGroup::root("test");
        let error = Endpoint::open(None, &config, &claimed, &tasks).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("is the certificate of eu/gw-1"), "{text}");
        assert!(text.contains(&claimed.to_string()), "{text}");
    }
}

#[tokio::test]
async fn another_node_than_was_expected_is_left() {
    let pair = Pair::new().await;
    let member = node("eu", "gw-2");
    let config = pair.authority.issue(&member, Office::Member);
    let port = Port::open(&config, &member);
    let expected = node("eu", "gw-3");
    let error = pair
        .node
        .endpoint
        .connect_node(&port.address, &expected)
        .await
        .unwrap_err();
    assert!(matches!(error, LinkError::OtherNode { ref found, .. } if *found == member));
    let made = pair.node.endpoint.connect_node(&port.address, &member);
    assert_eq!(*made.await.unwrap().peer(), member);
}

/// A node with `dialling` dials a hub with `listening`; what the node's end and the log say.
async fn refused(listening: &LinkConfig, dialling: &LinkConfig) -> (String, String) {
    let (logged, _guard) = Logged::begin();
    let hub = Port::open(listening, &node("us", "hub-1"));
    let member = Port::open(dialling, &node("eu", "gw-1"));
    let told = match member.endpoint.connect_hub(&hub.address).await {
        Err(error) => error.to_string(),
        // The node learns of its refusal after its own handshake is done.
        Ok(link) => timeout(SOON, link.closed()).await.unwrap().to_string(),
    };
    (told, logged.text())
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_logged_at_the_end_that_refuses() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let hub = ours.issue(&node("us", "hub-1"), Office::Hub);
    let stranger = theirs.issue(&node("eu", "gw-1"), Office::Member);
    let (_, log) = refused(&hub, &stranger).await;
    assert!(log.contains("unknown authority"), "{log}");
    assert!(log.contains("meridian://us/hub-1"), "{log}");

    // The stranger trusts us, but we do not trust it.
    fs::write(&stranger.ca, ours.pem()).unwrap();
    let (told, log) = refused(&hub, &stranger).await;
    assert!(log.contains("unknown authority"), "{log}");
    assert!(log.contains("meridian://eu/gw-1"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(told.contains("closed the link"), "{told}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_log_says_whose_and_when() {
    let authority = Authority::new();
    let hub = authority.issue(&node("us", "hub-1"), Office::Hub);
    let expired = authority.issue_expired(&node("eu", "gw-1"), Office::Member);
    let (_, log) = refused(&hub, &expired).await;
    assert!(log.contains("expired at 2024-01-01T00:00:00Z"), "{log}");
    assert!(log.contains("meridian://eu/gw-1"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");

    let expired_hub = authority.issue_expired(&node("us", "hub-1"), Office::Hub);
    let member = authority.issue(&node("eu", "gw-1"), Office::Member);
    let (_, log) = refused(&expired_hub, &member).await;
    assert!(log.contains("expired at"), "{log}");
    assert!(log.contains("meridian://us/hub-1"), "{log}");
}

#[tokio::test]
async fn a_node_that_may_not_be_a_hub_is_none() {
    let authority = Authority::new();
    let no_hub = authority.issue(&node("us", "hub-1"), Office::Member);
    let member = authority.issue(&node("eu", "gw-1"), Office::Member);
    let (told, log) = refused(&no_hub, &member).await;
    assert!(log.contains("not for hub.meridian.internal"), "{log}");
    assert!(told.contains("no link to"), "{told}");
}

#[tokio::test]
async fn a_certificate_with_two_names_names_nobody() {
    let authority = Authority::new();
    let me = node("eu", "gw-1");
    let config = authority.issue_with(&me, Office::Member, |params| {
        let second = SanType::URI("meridian://us/gw-1".try_into().unwrap());
        params.subject_alt_names.push(second);
    });
    let tasks = meridian_runtime::TaskGroup::root("test");
    let error = Endpoint::open(None, &config, &me, &tasks).unwrap_err();
    assert!(error.to_string().contains("more than one URI"), "{error}");
}

#[tokio::test]
async fn changed_certificates_are_taken_up_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let (hub_name, me) = (node("us", "hub-1"), node("eu", "gw-1"));
    let (hub_files, files) = (
        old.issue(&hub_name, Office::Hub),
        old.issue(&me, Office::Member),
    );
    let hub = Port::open(&hub_files, &hub_name);
    let member = Port::open(&files, &me);
    let link = member.endpoint.connect_hub(&hub.address).await.unwrap();

    let renewed = new.issue(&hub_name, Office::Hub);
    for (from, to) in [
        (&renewed.ca, &hub_files.ca),
        (&renewed.key, &hub_files.key),
        (&renewed.cert, &hub_files.cert),
    ] {
        fs::copy(from, to).unwrap();
    }
    // The hub has changed over: the node's old authority does not know it any more.
    eventually(
        async || match member.endpoint.connect_hub(&hub.address).await {
            Ok(link) => timeout(Duration::from_millis(300), link.closed())
                .await
                .is_ok(),
            Err(_) => true,
        },
    )
    .await;
    let renewed = new.issue(&me, Office::Member);
    for (from, to) in [
        (&renewed.ca, &files.ca),
        (&renewed.key, &files.key),
        (&renewed.cert, &files.cert),
    ] {
        fs::copy(from, to).unwrap();
    }
    eventually(
        async || match member.endpoint.connect_hub(&hub.address).await {
            Ok(link) => timeout(Duration::from_millis(300), link.closed())
                .await
                .is_err(),
            Err(_) => false,
        },
    )
    .await;
    assert!(!link.is_closed(), "links that stand are left alone");
}

async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, held).await.expect("it holds in the end");
}

#[tokio::test]
async fn messages_frames_and_bytes_arrive_as_they_were_sent() {
    let pair = Pair::new().await;
    let (mut send, mut answers) = pair.link.open(Kind::UnaryCall).await.unwrap();
    let beat = Control::from(control::Body::Heartbeat(Heartbeat {
        at: Some(Place {
            epoch: 0,
            revision: 42,
        }),
        term: 7,
        sequence: 1,
        ..Heartbeat::default()
    }));
    let large = Bytes::from(noise(1, 3 << 20));
    send.message(&beat).await.unwrap();
    let (kind, mut back, mut recv) = pair.accepted.accept().await.unwrap();
    assert_eq!(kind, Kind::UnaryCall);
    let sending = async {
        send.frame(large.clone()).await.unwrap();
        send.frame(Bytes::new()).await.unwrap();
        send.chunks(&mut [Bytes::from_static(b"as it is")])
            .await
            .unwrap();
        send.finish();
    };
    let receiving = async {
        assert_eq!(recv.message::<Control>().await.unwrap(), beat);
        assert_eq!(recv.frame().await.unwrap().unwrap(), large);
        assert_eq!(recv.frame().await.unwrap().unwrap(), Bytes::new());
        let mut rest = Vec::new();
        while let Some(chunk) = recv.chunk().await.unwrap() {
            rest.extend_from_slice(&chunk);
        }
        assert_eq!(rest, b"as it is");
    };
    tokio::join!(sending, receiving);
    back.message(&beat).await.unwrap();
    assert_eq!(answers.message::<Control>().await.unwrap(), beat);
}

#[tokio::test]
async fn a_dropped_half_is_given_up_and_not_finished() {
    let pair = Pair::new().await;
    let (mut send, recv) = pair.link.open(Kind::Log).await.unwrap();
    send.chunks(&mut [Bytes::from_static(b"half")])
        .await
        .unwrap();
    let (_, back, mut there) = pair.accepted.accept().await.unwrap();
    let stopped = back.stopped();
    drop((send, recv));
    let end = async {
        loop {
            match there.chunk().await {
                Ok(Some(_)) => {}
                end => return end,
            }
        }
    };
    let end = timeout(SOON, end).await.unwrap();
    assert!(matches!(end, Err(StreamError::GivenUp(_))), "{end:?}");
    let stopped = timeout(SOON, stopped).await.unwrap();
    assert!(matches!(stopped, StreamError::GivenUp(_)), "{stopped}");
}

#[tokio::test]
async fn a_frame_larger_than_its_kind_allows_is_refused() {
    let pair = Pair::new().await;
    let (mut send, _recv) = pair.link.open(Kind::Control).await.unwrap();
    send.frame(Bytes::from(vec![0; 300 << 10])).await.unwrap();
    let (_, _back, mut recv) = pair.accepted.accept().await.unwrap();
    let error = recv.message::<Control>().await.unwrap_err();
    assert!(
        matches!(error, StreamError::Frame(FrameError::TooLarge { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_message_that_does_not_come_is_too_late() {
    let pair = Pair::new().await;
    let (mut send, _recv) = pair.link.open(Kind::Control).await.unwrap();
    send.chunks(&mut []).await.unwrap();
    let (_, _back, mut recv) = pair.accepted.accept().await.unwrap();
    let limit = Duration::from_millis(20);
    let error = recv.message_within::<Control>(limit).await.unwrap_err();
    assert!(matches!(error, StreamError::TooLate(_)), "{error}");
}

#[tokio::test]
async fn both_ends_learn_why_a_link_was_closed() {
    let pair = Pair::new().await;
    pair.accepted.close("another link of yours came");
    let closed = timeout(SOON, pair.link.closed()).await.unwrap();
    assert_eq!(
        closed,
        Closed::There("another link of yours came".to_owned())
    );
    assert_eq!(pair.accepted.closed().await, Closed::Here);
    assert!(pair.link.open(Kind::Control).await.is_err());
    assert!(pair.accepted.accept().await.is_none());
}

#[tokio::test]
async fn a_stopping_node_closes_its_links() {
    let pair = Pair::new().await;
    let report = pair.hub.tasks.stop(SOON).await;
    assert!(report.is_clean(), "{report:?}");
    let closed = timeout(SOON, pair.link.closed()).await.unwrap();
    assert_eq!(closed, Closed::There("the node is stopping".to_owned()));
    assert!(pair.hub.endpoint.accept().await.is_none());
}

#[tokio::test]
async fn nobody_there_is_an_error_within_the_deadline() {
    let pair = Pair::new().await;
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    let error = pair.node.endpoint.connect_hub(&address).await.unwrap_err();
    assert!(matches!(error, LinkError::Silent { .. }), "{error}");
    let error = pair.node.endpoint.connect_hub("no port").await.unwrap_err();
    assert!(matches!(error, LinkError::Resolve { .. }), "{error}");
}

#[tokio::test]
async fn a_log_that_is_not_read_is_bounded_and_holds_up_nobody() {
    const WINDOW: u64 = 256 << 10;
    let pair = Pair::with_window(WINDOW).await;
    let (mut subscribe, log) = pair.link.open(Kind::Log).await.unwrap();
    subscribe.chunks(&mut []).await.unwrap();
    let (_, mut log_out, _in) = pair.accepted.accept().await.unwrap();
    // As much as flow control takes; the reader takes nothing.
    let mut written = 0;
    let block = Bytes::from(noise(2, 16 << 10));
    while timeout(
        Duration::from_millis(500),
        log_out.chunks(&mut [block.clone()]),
    )
    .await
    .is_ok()
    {
        written += block.len() as u64;
        assert!(written <= 2 * WINDOW, "{written} bytes were taken");
    }
    for term in 0..50 {
        let (mut send, _recv) = pair.link.open(Kind::Control).await.unwrap();
        let beat = Heartbeat {
            term,
            ..Heartbeat::default()
        };
        send.message(&beat).await.unwrap();
        let (_, mut back, mut recv) = timeout(SOON, pair.accepted.accept())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(recv.message::<Heartbeat>().await.unwrap(), beat);
        back.message(&beat).await.unwrap();
    }
    drop(log);
}

#[test]
fn kinds_keep_their_numbers() {
    let numbers: Vec<u8> = Kind::ALL.iter().map(|kind| kind.byte()).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<u8>>());
    assert!(
        Kind::ALL
            .iter()
            .all(|kind| Kind::from_byte(kind.byte()) == Some(*kind))
    );
    assert_eq!(Kind::from_byte(0), None);
    assert_eq!(Kind::from_byte(13), None);
    assert_eq!(Why::NotHeld.as_str_name(), "not_held");
}
