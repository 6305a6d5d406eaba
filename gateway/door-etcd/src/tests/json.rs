//! The HTTP side, over bare sockets.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::world::{World, put, soon};

/// Sends a request and gives status and headers, and the body as it stands when `until` is in it
/// or the server closes.
async fn exchange(world: &World, head: &str, body: &str, until: &str) -> (String, String) {
    let mut socket = TcpStream::connect(world.address).await.unwrap();
    let len = body.len();
    let request = format!("{head} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let mut buffer = [0; 4096];
    soon(async {
        loop {
            let read = socket.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
            if read == 0 || is_whole(&text, until) {
                return;
            }
        }
    })
    .await;
    let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
    (head.to_owned(), body.to_owned())
}

fn is_whole(text: &str, until: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    if !until.is_empty() {
        return body.contains(until);
    }
    let len = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    len.is_some_and(|len| body.len() >= len.parse().unwrap())
}

async fn post(world: &World, route: &str, body: &str) -> (String, String) {
    exchange(world, &format!("POST {route}"), body, "").await
}

async fn fetch(world: &World, path: &str) -> (String, String) {
    exchange(world, &format!("GET {path}"), "", "").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_their_errors_look_as_etcds() {
    let world = World::start().await;
    let (head, body) = post(&world, "/v3/kv/put", r#"{"key":"Zm9v","value":"YmFy"}"#).await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("Content-Type: application/json"), "{head}");
    assert!(
        head.contains("Grpc-Metadata-Content-Type: application/grpc"),
        "{head}"
    );
    assert!(head.contains("Access-Control-Allow-Origin: *"), "{head}");
    assert!(body.contains(r#""revision":"2""#), "{body}");
    for route in ["/v3/kv/range", "/v3beta/kv/range"] {
        let (_, body) = post(&world, route, r#"{"key":"Zm9v"}"#).await;
        let kvs = r#""kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy"}],"count":"1"}"#;
        assert!(body.ends_with(kvs), "{body}");
    }
    let (head, body) = post(&world, "/v3/kv/range", "{}").await;
    assert!(head.starts_with("HTTP/1.1 400 Bad Request"), "{head}");
    assert_eq!(
        body,
        r#"{"code":3,"message":"etcdserver: key is not provided"}"#
    );
    let (head, _) = post(&world, "/v3/kv/range", "bad").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    let (head, _) = fetch(&world, "/v3/kv/range").await;
    assert!(head.starts_with("HTTP/1.1 501"), "{head}");
    let (head, body) = fetch(&world, "/nope").await;
    assert!(
        head.starts_with("HTTP/1.1 404") && body == "404 page not found\n",
        "{head}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_is_lines_of_results() {
    let world = World::start().await;
    put(&mut world.kv().await, "foo", "1").await;
    let body = r#"{"create_request":{"key":"Zm9v","start_revision":"2"}} {"create_request":{"key":"YQ==","watch_id":7}}"#;
    let (head, body) = exchange(&world, "POST /v3/watch", body, "events").await;
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.contains("Transfer-Encoding: chunked"), "{head}");
    let lines: Vec<_> = body.lines().filter(|line| line.starts_with('{')).collect();
    assert!(
        lines[0].starts_with(r#"{"result":{"header":{"cluster_id":""#),
        "{body}"
    );
    assert!(lines[0].ends_with(r#""created":true}}"#), "{body}");
    assert!(
        body.contains(r#""watch_id":"7","created":true}}"#),
        "{body}"
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keepalive_takes_values_one_after_another() {
    let world = World::start().await;
    post(&world, "/v3/lease/grant", r#"{"TTL":60,"ID":5}"#).await;
    let body = r#"{"ID":5}{"ID":6}"#;
    let (_, body) = exchange(&world, "POST /v3/lease/keepalive", body, r#""ID":"6""#).await;
    assert!(body.contains(r#""ID":"5","TTL":"60"}}"#), "{body}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_fails_at_once_has_the_status_of_its_failure() {
    let world = World::start().await;
    let (head, body) = exchange(&world, "POST /v3/watch", "bad", "}").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(body.contains(r#"{"error":{"code":3,"message":""#), "{body}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_and_health_are_the_homes_as_seen_from_here() {
    let world = World::start().await;
    let (head, body) = fetch(&world, "/version").await;
    assert!(head.contains("Content-Type: application/json"), "{head}");
    assert!(body.starts_with(r#"{"etcdserver":"3."#), "{body}");
    let (_, body) = fetch(&world, "/health").await;
    assert_eq!(body, r#"{"health":"true","reason":""}"#);
    let (_, body) = fetch(&world, "/readyz?verbose").await;
    assert!(
        body.contains("[+]linearizable_read ok\n") && body.ends_with("\nok\n"),
        "{body}"
    );
    let (head, _) = post(&world, "/health", "").await;
    assert!(
        head.starts_with("HTTP/1.1 405") && head.contains("Allow: GET"),
        "{head}"
    );
    world.way.cut();
    soon(world.engine.leader_lost()).await;
    let (head, body) = fetch(&world, "/health").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(
        body,
        "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n"
    );
    let (_, body) = fetch(&world, "/health?serializable=true").await;
    assert_eq!(body, r#"{"health":"true","reason":""}"#);
    let (_, body) = fetch(&world, "/livez").await;
    assert_eq!(body, "ok\n");
    world.stop().await;
}
