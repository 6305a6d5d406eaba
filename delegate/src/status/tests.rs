//! Goal: documents pass a link whole, large ones too. Method: a link on loopback.

use super::*;
use crate::{
    link::Kind,
    testing::{Pair, node},
};

#[tokio::test]
async fn documents_of_any_size_arrive_and_missing_ones_say_why() {
    let pair = Pair::new().await;
    let told = vec![
        NodeDocument {
            node: node("eu", "gw-1"),
            answer: Ok("{}".to_owned()),
        },
        NodeDocument {
            node: node("us", "hub-1"),
            // A thousand links of a hub.
            answer: Ok("x".repeat(400 << 10)),
        },
        NodeDocument {
            node: node("us", "hub-2"),
            answer: Err("no answer".to_owned()),
        },
    ];
    let (mut send, mut recv) = pair.link.open(Kind::StatusAll).await.unwrap();
    send.open_and_finish().await.unwrap();
    let (_, answering, _asked) = pair.accepted.accept().await.unwrap();
    let (read, ()) = tokio::join!(read_list(&mut recv), answer_list(answering, told.clone()));
    assert_eq!(read.unwrap(), told);
}
