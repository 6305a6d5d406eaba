//! What a well-behaved gRPC client never sends.

use bytes::Bytes;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;

use super::world::{World, soon};

/// Sends bytes to a path; gives the status headers, wherever they came, and the body.
async fn call(world: &World, path: &str, body: &'static [u8]) -> (HeaderMap, Bytes) {
    let socket = TcpStream::connect(world.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://x{path}"))
        .header("content-type", "application/grpc+proto")
        .body(())
        .unwrap();
    let (response, mut send) = client.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        send.send_data(Bytes::from_static(body), true).unwrap();
    }
    let response = soon(response).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/grpc+proto");
    let (parts, mut stream) = response.into_parts();
    if parts.headers.contains_key("grpc-status") {
        assert!(stream.is_end_stream(), "trailers only");
        return (parts.headers, Bytes::new());
    }
    let mut body = Vec::new();
    while let Some(piece) = soon(stream.data()).await {
        body.extend_from_slice(&piece.unwrap());
    }
    (soon(stream.trailers()).await.unwrap().unwrap(), body.into())
}

async fn refused(world: &World, path: &str, body: &'static [u8]) -> (String, String) {
    let (headers, _) = call(world, path, body).await;
    let text = |name| headers[name].to_str().unwrap().to_owned();
    (text("grpc-status"), text("grpc-message"))
}

const RANGE: &str = "/etcdserverpb.KV/Range";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_calls_are_told_as_by_grpc_go() {
    let world = World::start().await;
    let broken: [(&str, &'static [u8], &str, &str); 6] = [
        (
            RANGE,
            b"\0\0\0\0\x05\x0a\x7ffoo",
            "13",
            "grpc: error unmarshalling request: unexpected EOF",
        ),
        (
            RANGE,
            b"\x01\0\0\0\0",
            "13",
            "grpc: compressed flag set with identity or empty encoding",
        ),
        (RANGE, b"", "2", "EOF"),
        (RANGE, b"\0\0\0\0\0", "3", "etcdserver: key is not provided"),
        (
            "/etcdserverpb.KV/Nope",
            b"",
            "12",
            "unknown method Nope for service etcdserverpb.KV",
        ),
        ("/nope.Nope/Nope", b"", "12", "unknown service nope.Nope"),
    ];
    for (path, body, status, text) in broken {
        assert_eq!(
            refused(&world, path, body).await,
            (status.to_owned(), text.to_owned())
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_call_has_data_and_then_its_status() {
    let world = World::start().await;
    let (trailers, body) = call(&world, RANGE, b"\0\0\0\0\x05\x0a\x03foo").await;
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(body[0], 0);
    assert_eq!(
        u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize,
        body.len() - 5
    );
    world.stop().await;
}
