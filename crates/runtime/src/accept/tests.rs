//! Goal: limits hold, draining closes the port first and then waits. Method: real sockets on port
//! 0; every wait is on a level with a deadline.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::*;

const SOON: Duration = Duration::from_secs(10);

fn any_port() -> TcpListener {
    bind("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Echoes one byte; once drained, says goodbye and ends.
async fn echo(mut connection: Connection) {
    let mut byte = [0];
    loop {
        tokio::select! {
            read = connection.stream.read(&mut byte) => match read {
                Ok(1..) => connection.stream.write_all(&byte).await.unwrap(),
                Ok(0) | Err(_) => return,
            },
            () = connection.draining.cancelled() => {
                let _ = connection.stream.write_all(b"!").await;
                return;
            }
        }
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, poll)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}

async fn read_byte(stream: &mut TcpStream) -> Option<u8> {
    let mut byte = [0];
    match timeout(SOON, stream.read(&mut byte)).await.unwrap() {
        Ok(1..) => Some(byte[0]),
        Ok(0) | Err(_) => None,
    }
}

#[tokio::test]
async fn connections_are_served_and_counted() {
    let root = TaskGroup::root("test");
    let listener = any_port();
    let address = listener.local_addr().unwrap();
    let acceptor = serve("door", listener, Limits { connections: 8 }, &root, echo);
    let counters = acceptor.counters().clone();

    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"a").await.unwrap();
    assert_eq!(read_byte(&mut client).await, Some(b'a'));
    assert_eq!(
        (counters.open(), counters.opened(), counters.refused()),
        (1, 1, 0)
    );
    drop(client);
    eventually("the connection is counted as closed", || {
        counters.open() == 0
    })
    .await;
    assert!(root.stop(SOON).await.is_clean());
}

#[tokio::test]
async fn one_connection_too_many_is_closed_at_once() {
    let root = TaskGroup::root("test");
    let listener = any_port();
    let address = listener.local_addr().unwrap();
    let acceptor = serve("door", listener, Limits { connections: 1 }, &root, echo);
    let counters = acceptor.counters().clone();

    let mut first = TcpStream::connect(address).await.unwrap();
    eventually("the first is open", || counters.open() == 1).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    assert_eq!(read_byte(&mut second).await, None);
    assert_eq!(counters.refused(), 1);

    first.write_all(b"a").await.unwrap();
    assert_eq!(read_byte(&mut first).await, Some(b'a'));
    drop(first);
    eventually("the first is closed", || counters.open() == 0).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(b"c").await.unwrap();
    assert_eq!(read_byte(&mut third).await, Some(b'c'));
}

#[tokio::test]
async fn draining_closes_the_port_and_lets_connections_finish() {
    let root = TaskGroup::root("test");
    let listener = any_port();
    let address = listener.local_addr().unwrap();
    let acceptor = serve("door", listener, Limits { connections: 8 }, &root, echo);
    let counters = acceptor.counters().clone();
    let mut client = TcpStream::connect(address).await.unwrap();
    eventually("it is open", || counters.open() == 1).await;

    assert!(acceptor.drain(SOON).await.is_clean());
    assert_eq!(read_byte(&mut client).await, Some(b'!'));
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(root.failure(), None);
}

#[tokio::test]
async fn a_connection_that_does_not_finish_is_aborted_at_the_deadline() {
    let root = TaskGroup::root("test");
    let listener = any_port();
    let address = listener.local_addr().unwrap();
    let deaf = |connection: Connection| async move {
        let _open = connection;
        std::future::pending::<()>().await;
    };
    let acceptor = serve("door", listener, Limits { connections: 8 }, &root, deaf);
    let counters = acceptor.counters().clone();
    let mut client = TcpStream::connect(address).await.unwrap();
    eventually("it is open", || counters.open() == 1).await;

    let report = acceptor.drain(Duration::from_millis(10)).await;
    assert_eq!(report.aborted, ["test/door/connection"]);
    assert_eq!((counters.open(), read_byte(&mut client).await), (0, None));
}

#[tokio::test]
async fn a_busy_port_is_refused_with_what_to_do() {
    let holder = any_port();
    let taken = holder.local_addr().unwrap();
    let refused = bind(taken).unwrap_err();
    assert_eq!(
        refused.to_string(),
        format!(
            "{taken}: address already in use; stop what listens there or choose another port, 0 for any"
        )
    );
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused_with_what_to_do() {
    let refused = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(matches!(refused, BindError::NotOurs(_)), "{refused}");
}
