//! Goal: a datagram arrives once, later by the path's time, in order, both ways; what is too much is
//! lost. Method: a socket that echoes, at the end of a real path.

use super::*;

const ONE_WAY: Duration = Duration::from_millis(40);

/// Any machine does this in far less.
const DEADLINE: Duration = Duration::from_secs(20);

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Answers every datagram with itself.
async fn echo(tasks: &TaskGroup) -> SocketAddr {
    let socket = socket().await;
    let address = socket.local_addr().unwrap();
    tasks.spawn("echo", async move {
        let mut buffer = [0; 2 * DATAGRAM_BYTES_MAX];
        while let Ok((bytes, from)) = socket.recv_from(&mut buffer).await {
            socket.send_to(&buffer[..bytes], from).await.unwrap();
        }
    });
    address
}

async fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2 * DATAGRAM_BYTES_MAX];
    let received = tokio::time::timeout(DEADLINE, client.recv(&mut buffer)).await;
    let bytes = received.expect("an answer in time").unwrap();
    buffer[..bytes].to_vec()
}

async fn client(path: &Path) -> UdpSocket {
    let client = socket().await;
    client.connect(path.address()).await.unwrap();
    client
}

#[tokio::test]
async fn datagrams_arrive_late_in_order_and_find_back() {
    let tasks = TaskGroup::root("test");
    let path = Path::open(echo(&tasks).await, ONE_WAY, &tasks)
        .await
        .unwrap();
    let clients = [client(&path).await, client(&path).await];
    let begun = Instant::now();
    // As many as the smallest socket buffers of the path hold.
    for number in 0..50_u8 {
        for (place, client) in clients.iter().enumerate() {
            let place = u8::try_from(place).unwrap();
            client.send(&[place, number]).await.unwrap();
        }
    }
    for (place, client) in clients.iter().enumerate() {
        let place = u8::try_from(place).unwrap();
        for number in 0..50 {
            assert_eq!(receive(client).await, [place, number]);
            assert!(begun.elapsed() >= 2 * ONE_WAY, "too early");
        }
    }
}

#[tokio::test]
async fn a_path_carries_what_a_wide_area_carries() {
    let tasks = TaskGroup::root("test");
    let path = Path::open(echo(&tasks).await, Duration::ZERO, &tasks)
        .await
        .unwrap();
    let client = client(&path).await;
    client.send(&[1; DATAGRAM_BYTES_MAX + 1]).await.unwrap();
    client.send(&[2; DATAGRAM_BYTES_MAX]).await.unwrap();
    assert_eq!(receive(&client).await, [2; DATAGRAM_BYTES_MAX]);
}

#[tokio::test]
async fn one_client_too_many_is_not_served() {
    let tasks = TaskGroup::root("test");
    let path = Path::open(echo(&tasks).await, Duration::ZERO, &tasks)
        .await
        .unwrap();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS_MAX {
        let client = client(&path).await;
        client.send(b"in time").await.unwrap();
        assert_eq!(receive(&client).await, b"in time");
        clients.push(client);
    }
    let late = client(&path).await;
    late.send(b"too late").await.unwrap();
    // Whatever comes after it is served after it.
    clients[0].send(b"still there").await.unwrap();
    assert_eq!(receive(&clients[0]).await, b"still there");
    let error = late.try_recv(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_target_that_comes_back_is_reached_again() {
    let tasks = TaskGroup::root("test");
    let first = socket().await;
    let target = first.local_addr().unwrap();
    let path = Path::open(target, Duration::from_millis(1), &tasks)
        .await
        .unwrap();
    let client = client(&path).await;
    client.send(b"one").await.unwrap();
    let (_, from) = first.recv_from(&mut [0; 8]).await.unwrap();
    drop(first);
    client.send(b"lost").await.unwrap();
    let again = UdpSocket::bind(target).await.unwrap();
    let mut buffer = [0; 8];
    let heard = async {
        loop {
            // The first few may meet the refusal of the one that was lost.
            client.send(b"two").await.unwrap();
            let received = again.recv_from(&mut buffer);
            if let Ok(Ok((3, again))) = tokio::time::timeout(ONE_WAY, received).await {
                return again;
            }
        }
    };
    let back = tokio::time::timeout(DEADLINE, heard).await.unwrap();
    assert_eq!(back, from, "the client kept its way");
}

#[tokio::test]
async fn a_path_ends_with_its_tasks() {
    let tasks = TaskGroup::root("test");
    let child = tasks.child("wan");
    let path = Path::open(echo(&tasks).await, ONE_WAY, &child)
        .await
        .unwrap();
    let client = client(&path).await;
    client.send(b"on its way").await.unwrap();
    assert_eq!(receive(&client).await, b"on its way");
    let report = child.stop(DEADLINE).await;
    assert!(report.is_clean(), "{report:?}");
    UdpSocket::bind(path.address())
        .await
        .expect("the port is free again");
}
