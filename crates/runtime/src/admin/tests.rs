//! Goal: each route answers as probes, scrapers and people expect. Method: raw requests to a real
//! port.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
};

use super::*;

fn start(ready: Arc<AtomicBool>) -> AdminServer {
    let nodes = || Ok("{\"nodes\":[]}".to_owned());
    start_with(ready, Box::new(move || Box::pin(async move { nodes() })))
}

fn start_with(
    ready: Arc<AtomicBool>,
    status_all: Box<dyn Fn() -> Gathering + Send + Sync>,
) -> AdminServer {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let listener = accept::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let routes = Routes {
        ready: Box::new(move || match ready.load(Ordering::Relaxed) {
            true => Readiness::Ready("replica complete".into()),
            false => Readiness::NotReady("replica is loading".into()),
        }),
        metrics: Box::new(|| "reads_total 1\n".into()),
        status: Box::new(|| "{\"node\":\"gw-1\"}".into()),
        status_all,
    };
    serve(listener, routes).unwrap()
}

fn ask(admin: &AdminServer, request: &str) -> String {
    let mut stream = TcpStream::connect(admin.address()).unwrap();
    stream
        .set_read_timeout(Some(CONNECTION_DEADLINE * 2))
        .unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: admin\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn check(admin: &AdminServer, request: &str, status: u16, end: &str) {
    let answer = ask(admin, request);
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status} ")),
        "{request}: {answer}"
    );
    assert!(answer.ends_with(end), "{request}: {answer}");
}

#[test]
fn every_route_answers() {
    let ready = Arc::new(AtomicBool::new(false));
    let admin = start(ready.clone());
    check(&admin, "GET /healthz", 200, "\r\n\r\nok\n");
    check(&admin, "GET /readyz", 503, "\r\n\r\nreplica is loading\n");
    ready.store(true, Ordering::Relaxed);
    check(&admin, "GET /readyz", 200, "\r\n\r\nreplica complete\n");
    check(&admin, "GET /metrics", 200, "reads_total 1\n");
    check(&admin, "GET /status.json", 200, "{\"node\":\"gw-1\"}");
    check(&admin, "GET /status-all.json", 200, "{\"nodes\":[]}");
    check(&admin, "HEAD /healthz", 200, "\r\n\r\n");
    admin.stop();
}

#[test]
fn anything_else_is_refused_with_what_there_is() {
    let admin = start(Arc::default());
    check(&admin, "GET /nothing", 404, ROUTES);
    check(&admin, "POST /healthz", 405, "only GET and HEAD\n");
    assert!(ask(&admin, "DELETE /metrics").contains("allow: GET, HEAD"));
    admin.stop();
}

#[test]
fn a_stop_closes_the_port() {
    let admin = start(Arc::default());
    let address = admin.address();
    admin.stop();
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn why_nothing_can_be_gathered_is_told() {
    let why = || Err("no hub can be reached".to_owned());
    let admin = start_with(
        Arc::default(),
        Box::new(move || Box::pin(async move { why() })),
    );
    let end = "\r\n\r\nno hub can be reached\n";
    check(&admin, "GET /status-all.json", 503, end);
    admin.stop();
}

#[test]
fn gathering_has_an_end_and_holds_up_no_probe() {
    let (begun, seen) = std::sync::mpsc::channel();
    let admin = start_with(
        Arc::default(),
        Box::new(move || {
            begun.send(()).unwrap();
            Box::pin(std::future::pending())
        }),
    );
    std::thread::scope(|threads| {
        for _ in 0..GATHERINGS_MAX {
            let end = "ask a node of another region\n";
            threads.spawn(|| check(&admin, "GET /status-all.json", 503, end));
        }
        for _ in 0..GATHERINGS_MAX {
            seen.recv_timeout(CONNECTION_DEADLINE).unwrap();
        }
        check(&admin, "GET /healthz", 200, "\r\n\r\nok\n");
        let end = "others are asking all nodes already; ask again\n";
        check(&admin, "GET /status-all.json", 503, end);
    });
    admin.stop();
}
