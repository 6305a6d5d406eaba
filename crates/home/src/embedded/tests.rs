//! Goal: the embedded home answers as etcd does and loses nothing that it acknowledged. Method:
//! calls in etcd's own messages through the `Home` trait, on a file in a temporary directory.

mod durability;
mod election;
mod kv;
mod lease;
mod maintenance;
mod refused;
mod watch;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use meridian_etcd_api::{EtcdError, etcdserverpb as pb};
use meridian_runtime::TaskGroup;
use prost::Message;
use tempfile::TempDir;

use super::{EmbeddedConfig, EmbeddedHome};
use crate::{Call, CallError, Fate, Home, Method, StreamCall};

/// What a step of a test may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home in a directory that ends with it.
struct Fixture {
    home: Arc<EmbeddedHome>,
    tasks: TaskGroup,
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::in_dir(tempfile::tempdir().unwrap())
    }

    fn in_dir(dir: TempDir) -> Self {
        let tasks = TaskGroup::root("test");
        let home = EmbeddedHome::open(config(&dir), &tasks).unwrap();
        Self { home, tasks, dir }
    }

    /// Stops in order and opens the same directory again.
    async fn restart(self) -> Self {
        let Self { home, tasks, dir } = self;
        drop(home);
        assert!(tasks.stop(PATIENCE).await.is_clean());
        Self::in_dir(dir)
    }

    async fn call<A: Message + Default>(
        &self,
        method: Method,
        request: impl Message,
    ) -> Result<A, CallError> {
        let call = Call::new(method, request.encode_to_vec().into());
        let reply = tokio::time::timeout(PATIENCE, self.home.unary(call)).await;
        Ok(A::decode(reply.expect("an answer in time")?.message).unwrap())
    }

    async fn refused(&self, method: Method, request: impl Message, error: EtcdError) {
        let refused = self
            .call::<pb::PutResponse>(method, request)
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (error.code(), error.message())
        );
        assert_eq!(refused.fate, Fate::Refused);
    }

    async fn put(&self, key: &str, value: &str) -> i64 {
        self.put_with(put(key, value))
            .await
            .header
            .unwrap()
            .revision
    }

    async fn put_with(&self, request: pb::PutRequest) -> pb::PutResponse {
        self.call(Method::KvPut, request).await.unwrap()
    }

    async fn delete(&self, key: &str) -> pb::DeleteRangeResponse {
        let request = pb::DeleteRangeRequest {
            key: bytes(key),
            ..Default::default()
        };
        self.call(Method::KvDeleteRange, request).await.unwrap()
    }

    async fn range(&self, request: pb::RangeRequest) -> pb::RangeResponse {
        self.call(Method::KvRange, request).await.unwrap()
    }

    /// Everything, as etcd answers it, without the term, which grows with each start.
    async fn everything(&self) -> pb::RangeResponse {
        let mut all = self.range(all()).await;
        all.header.as_mut().unwrap().raft_term = 0;
        all
    }

    async fn get(&self, key: &str) -> Option<String> {
        let kvs = self.range(one(key)).await.kvs;
        kvs.first()
            .map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
    }

    async fn compact(&self, revision: i64) {
        let request = pb::CompactionRequest {
            revision,
            physical: true,
        };
        self.call::<pb::CompactionResponse>(Method::KvCompact, request)
            .await
            .unwrap();
    }

    async fn grant(&self, id: i64, ttl: i64) -> pb::LeaseGrantResponse {
        self.call(Method::LeaseGrant, pb::LeaseGrantRequest { id, ttl })
            .await
            .unwrap()
    }

    /// Opens a stream whose requests are sent through the sender.
    async fn stream(&self, method: Method) -> (tokio::sync::mpsc::Sender<Bytes>, crate::Replies) {
        let (sender, requests) = tokio::sync::mpsc::channel(64);
        let requests = Box::pin(tokio_stream::wrappers::ReceiverStream::new(requests));
        let call = StreamCall {
            method,
            metadata: Default::default(),
            requests,
        };
        (sender, self.home.stream(call).await.unwrap())
    }

    /// Opens a stream of one request.
    async fn stream_of(
        &self,
        method: Method,
        request: impl Message,
    ) -> (tokio::sync::mpsc::Sender<Bytes>, crate::Replies) {
        let (sender, requests) = tokio::sync::mpsc::channel(1);
        sender.send(request.encode_to_vec().into()).await.unwrap();
        let requests = Box::pin(tokio_stream::wrappers::ReceiverStream::new(requests));
        let call = StreamCall {
            method,
            metadata: Default::default(),
            requests,
        };
        (sender, self.home.stream(call).await.unwrap())
    }

    fn revision(&self) -> i64 {
        self.home.node.published.keyspace.revision().get()
    }
}

fn config(dir: &TempDir) -> EmbeddedConfig {
    EmbeddedConfig {
        dir: dir.path().to_owned(),
        name: "dev".to_owned(),
        client_urls: vec!["http://127.0.0.1:2379".to_owned()],
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: bytes(key),
        value: bytes(value),
        ..Default::default()
    }
}

fn one(key: &str) -> pb::RangeRequest {
    pb::RangeRequest {
        key: bytes(key),
        ..Default::default()
    }
}

fn all() -> pb::RangeRequest {
    pb::RangeRequest {
        key: bytes("\0"),
        range_end: bytes("\0"),
        ..Default::default()
    }
}

fn request_op(request: pb::request_op::Request) -> pb::RequestOp {
    pb::RequestOp {
        request: Some(request),
    }
}

fn put_op(key: &str, value: &str) -> pb::RequestOp {
    request_op(pb::request_op::Request::RequestPut(put(key, value)))
}

/// The next reply of a stream, in time.
async fn next<A: Message + Default>(replies: &mut crate::Replies) -> A {
    use futures_util::StreamExt;
    let reply = tokio::time::timeout(PATIENCE, replies.messages.next()).await;
    A::decode(reply.expect("a reply in time").expect("a reply").unwrap()).unwrap()
}
