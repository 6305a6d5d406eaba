//! Goal: a round trip takes the time asked for, bytes keep their order, and the wire is pipelined.

use super::*;

/// A server that sends back what it gets, for one connection.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut copy = socket.try_clone().unwrap();
        let _ = io::copy(&mut socket, &mut copy);
    });
    address
}

#[test]
fn a_round_trip_takes_at_least_the_time_asked_for() {
    let proxy = DelayProxy::start(echo_server(), Duration::from_millis(20)).unwrap();
    let mut socket = TcpStream::connect(proxy.address()).unwrap();
    let start = Instant::now();
    socket.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(&answer, b"ping");
}

#[test]
fn bytes_keep_their_order_and_do_not_wait_for_one_another() {
    let proxy = DelayProxy::start(echo_server(), Duration::from_millis(20)).unwrap();
    let mut socket = TcpStream::connect(proxy.address()).unwrap();
    let mut reader = socket.try_clone().unwrap();
    let start = Instant::now();
    for n in 0..500_u32 {
        socket.write_all(&n.to_be_bytes()).unwrap();
    }
    for n in 0..500_u32 {
        let mut number = [0; 4];
        reader.read_exact(&mut number).unwrap();
        assert_eq!(u32::from_be_bytes(number), n);
    }
    // One after the other they would take 500 round trips: ten seconds.
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn dropping_the_proxy_cuts_its_connections() {
    let proxy = DelayProxy::start(echo_server(), Duration::ZERO).unwrap();
    let mut socket = TcpStream::connect(proxy.address()).unwrap();
    socket.write_all(b"x").unwrap();
    let mut answer = [0; 1];
    socket.read_exact(&mut answer).unwrap();
    drop(proxy);
    assert!(!matches!(socket.read(&mut answer), Ok(1..)));
}
