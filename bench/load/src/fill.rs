//! Fills an endpoint with the data set: batched transactions, a few in flight.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use meridian_etcd_api::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, PutRequest,
    RequestOp, TxnRequest, request_op,
};

use crate::{
    connection::{Connection, Endpoint, frame},
    shape::{Shape, Values},
};

/// etcd's default limit of operations in a transaction.
const OPERATIONS_MAX: u64 = 128;
/// Two thirds of etcd's default limit of a request's bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Transactions in flight: enough to keep raft's pipeline busy, 16 MB at most.
const IN_FLIGHT: usize = 16;
/// Connections they go over.
const CONNECTIONS: usize = 2;

/// Three of etcd's intervals between commits to disk.
const COMMIT: Duration = Duration::from_millis(300);

/// Puts every key of the data set once; `progress` is told the number of keys done, about ten times.
pub async fn fill(
    endpoint: &Endpoint,
    shape: &Shape,
    progress: &dyn Fn(u64),
) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(endpoint).await?);
    }
    let values = Values::new(shape.value_bytes);
    let batch = batch_keys(shape);
    let mut answers = stream::iter((0..shape.keys.div_ceil(batch)).map(|number| {
        let first = number * batch;
        let last = (first + batch).min(shape.keys);
        let connection = &connections[number as usize % CONNECTIONS];
        let mut caller = connection.caller("etcdserverpb.KV/Txn");
        let request = txn(shape, &values, first..last);
        async move { caller.call(request).await.map(|_| last - first) }
    }))
    .buffer_unordered(IN_FLIGHT);
    let (mut done, step) = (0, (shape.keys / 10).max(1));
    while let Some(keys) = answers
        .try_next()
        .await
        .context("fill the endpoint with keys")?
    {
        if (done + keys) / step > done / step {
            progress(done + keys);
        }
        done += keys;
    }
    Ok(start.elapsed())
}

/// Brings etcd to its best state after a fill.
///
/// etcd 3.4 copies its buffer of recent writes for every read, at the size the largest batch ever gave it, until a
/// commit without a key in it drops the buffer: a lease granted and revoked makes two such commits. Without it a get
/// was seen to cost 220 µs of CPU instead of some 30.
pub async fn rest(endpoint: &Endpoint) -> anyhow::Result<()> {
    let connection = Connection::open(endpoint).await?;
    tokio::time::sleep(COMMIT).await;
    let grant = LeaseGrantRequest {
        ttl: 600,
        ..LeaseGrantRequest::default()
    };
    let granted = connection
        .ask("etcdserverpb.Lease/LeaseGrant", &grant)
        .await;
    let LeaseGrantResponse { id, .. } = granted.context("grant a lease after the fill")?;
    tokio::time::sleep(COMMIT).await;
    let revoke = LeaseRevokeRequest { id };
    let revoked = connection
        .ask("etcdserverpb.Lease/LeaseRevoke", &revoke)
        .await;
    let LeaseRevokeResponse { .. } = revoked.context("revoke the lease after the fill")?;
    tokio::time::sleep(COMMIT).await;
    Ok(())
}

fn batch_keys(shape: &Shape) -> u64 {
    let put_bytes = shape.key_bytes + shape.value_bytes + 32;
    OPERATIONS_MAX
        .min((BATCH_BYTES_MAX / put_bytes) as u64)
        .max(1)
}

fn txn(shape: &Shape, values: &Values, keys: std::ops::Range<u64>) -> Bytes {
    let put = |n| PutRequest {
        key: shape.key(n),
        value: values.value(n),
        ..PutRequest::default()
    };
    let success = keys
        .map(|n| RequestOp {
            request: Some(request_op::Request::RequestPut(put(n))),
        })
        .collect();
    frame(&TxnRequest {
        success,
        ..TxnRequest::default()
    })
}
