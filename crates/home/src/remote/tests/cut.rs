//! A TCP proxy before a member that, once told to, swallows the next request and forges the
//! member's farewell.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::member::Member;

/// What the proxy says in the member's place before it closes the connection.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Forge {
    /// A GOAWAY whose last stream is the first one, so not the call's.
    GoAwayLeavingOut = 1,
    /// A GOAWAY whose last stream is the highest there is, so the call's may be processed.
    GoAwayTakingIn = 2,
}

const CALM: u8 = 0;
const STRUCK: u8 = 3;

pub(super) struct Cut {
    port: u16,
    order: Arc<AtomicU8>,
    server: tokio::task::JoinHandle<()>,
}

impl Cut {
    pub(super) async fn before(member: &Member) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let order = Arc::new(AtomicU8::new(CALM));
        let server = tokio::spawn(serve(listener, member.port(), order.clone()));
        Self {
            port,
            order,
            server,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next bytes from the client are swallowed, and this is said.
    pub(super) fn on_next_request(&self, forge: Forge) {
        self.order.store(forge as u8, Ordering::SeqCst);
    }

    pub(super) fn has_struck(&self) -> bool {
        self.order.load(Ordering::SeqCst) == STRUCK
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, member: u16, order: Arc<AtomicU8>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        connections.spawn(relay(client, member, order.clone()));
    }
}

async fn relay(mut client: TcpStream, member: u16, order: Arc<AtomicU8>) {
    let mut member = TcpStream::connect(("127.0.0.1", member)).await.unwrap();
    let (mut up, mut down) = ([0; 4096], [0; 4096]);
    loop {
        tokio::select! {
            Ok(read) = client.read(&mut up) => {
                let last_stream = match order.swap(CALM, Ordering::SeqCst) {
                    CALM => None,
                    STRUCK => { order.store(STRUCK, Ordering::SeqCst); None }
                    forge if forge == Forge::GoAwayLeavingOut as u8 => Some(1),
                    _ => Some(i32::MAX as u32),
                };
                if let Some(last_stream) = last_stream {
                    order.store(STRUCK, Ordering::SeqCst);
                    let _ = client.write_all(&go_away(last_stream)).await;
                    return;
                }
                if read == 0 || member.write_all(&up[..read]).await.is_err() { return }
            }
            Ok(read) = member.read(&mut down) => {
                if read == 0 || client.write_all(&down[..read]).await.is_err() { return }
            }
        }
    }
}

/// A GOAWAY frame (RFC 9113, 6.8): 8 bytes, type 7, stream 0; last stream, NO_ERROR.
fn go_away(last_stream: u32) -> [u8; 17] {
    let mut frame = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    frame[9..13].copy_from_slice(&last_stream.to_be_bytes());
    frame
}
