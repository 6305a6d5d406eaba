//! A constant load of writes at the home itself, whatever happens to the regions.
//!
//! Puts of few and of many keys, deletes, whole ranges deleted, transactions of several keys, keys with
//! leases and leases revoked: all that a revision can hold. It goes on through the death of a member.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use meridian_etcd_api::etcdserverpb::{
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RequestOp, TxnRequest, request_op::Request,
};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

use crate::{
    ask,
    client::Client,
    wait::{SOON, eventually, within},
};

/// What all keys written begin with.
pub const PREFIX: &str = "load/";

/// Keys that are written again and again.
const KEYS: u64 = 300;

/// One write is given up after this long and its outcome unknown; the next goes to another member.
const PATIENCE: Duration = Duration::from_secs(1);

/// Leases live longer than any run of minutes: they end when revoked.
const TTL_SECONDS: i64 = 3_600;

/// Writers at work.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: JoinHandle<Result<()>>,
}

impl Load {
    /// Begins to write this many times a second to the members at `urls`.
    ///
    /// # Errors
    /// Never in practice.
    pub fn start(urls: &[String], writes_per_second: u32, seed: u64) -> Result<Self> {
        let (over, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let clients = urls.iter().map(|url| Client::connect(url));
        let writer = Writer {
            clients: clients.collect::<Result<_>>()?,
            turn: 0,
            chances: fastrand::Rng::with_seed(seed),
            leases: Vec::new(),
            over: over.clone(),
            done: done.clone(),
        };
        let every = Duration::from_secs(1) / writes_per_second.max(1);
        let task = tokio::spawn(writer.work(every));
        Ok(Self { over, done, task })
    }

    /// How many writes were acknowledged.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Ends it; how many writes were acknowledged.
    ///
    /// # Errors
    /// When the writer has failed.
    pub async fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        within(SOON, "the writer ends", self.task).await???;
        Ok(self.done.load(Ordering::Relaxed))
    }

    /// Writes one key more at the home, through whatever member answers; its revision.
    ///
    /// # Errors
    /// When no member takes it for long.
    pub async fn mark(urls: &[String]) -> Result<i64> {
        eventually(SOON, "the home takes a write", || async {
            let mut refusal = None;
            for url in urls {
                let client = Client::connect(url)?;
                let put = client.put(ask::put(format!("{PREFIX}mark"), "x"));
                match within(Duration::from_millis(500), "a put", put).await {
                    Ok(Ok(answer)) => return Ok(answer.header.context("a header")?.revision),
                    Ok(Err(status)) => refusal = Some(anyhow::Error::from(status)),
                    Err(late) => refusal = Some(late),
                }
            }
            Err(refusal.context("no member")?)
        })
        .await
    }
}

struct Writer {
    clients: Vec<Client>,
    turn: usize,
    chances: fastrand::Rng,
    leases: Vec<i64>,
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
}

impl Writer {
    async fn work(mut self, every: Duration) -> Result<()> {
        let mut clock = tokio::time::interval(every);
        // Behind after an election, it does not make up for it in a flood.
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.over.load(Ordering::Relaxed) {
            clock.tick().await;
            let written = tokio::time::timeout(PATIENCE, self.write()).await;
            if matches!(written, Ok(Ok(()))) {
                self.done.fetch_add(1, Ordering::Relaxed);
            } else {
                self.turn += 1;
            }
        }
        Ok(())
    }

    fn key(&mut self) -> Bytes {
        format!("{PREFIX}{:04}", self.chances.u64(..KEYS)).into()
    }

    fn put(&mut self, lease: i64) -> PutRequest {
        let len = if self.chances.u8(..) < 8 { 20_000 } else { 150 };
        let value: Bytes = std::iter::repeat_with(|| self.chances.alphanumeric() as u8)
            .take(len)
            .collect();
        PutRequest {
            key: self.key(),
            value,
            lease,
            ..Default::default()
        }
    }

    async fn write(&mut self) -> Result<()> {
        let client = self.clients[self.turn % self.clients.len()].clone();
        match self.chances.u8(..100) {
            0..70 => drop(client.put(self.put(0)).await?),
            70..80 => drop(client.delete(ask::delete(self.key())).await?),
            80..81 => {
                let prefix = format!("{PREFIX}{:03}", self.chances.u64(..KEYS / 10));
                drop(client.delete(ask::delete_all(&prefix.into())).await?);
            }
            81..92 => drop(client.txn(self.several()).await?),
            92..97 => self.leased(&client).await?,
            _ => self.revoke(&client).await?,
        }
        Ok(())
    }

    /// A transaction of several keys, of which each is written once.
    fn several(&mut self) -> TxnRequest {
        let first = self.chances.u64(..KEYS);
        let puts = (0..self.chances.u64(2..12)).map(|n| {
            let put = self.put(0);
            let key = format!("{PREFIX}{:04}", (first + n) % KEYS).into();
            RequestOp {
                request: Some(Request::RequestPut(PutRequest { key, ..put })),
            }
        });
        TxnRequest {
            success: puts.collect(),
            ..Default::default()
        }
    }

    async fn leased(&mut self, client: &Client) -> Result<()> {
        let grant = LeaseGrantRequest {
            ttl: TTL_SECONDS,
            id: 0,
        };
        let lease = client.lease_grant(grant).await?.id;
        self.leases.push(lease);
        for _ in 0..3 {
            client.put(self.put(lease)).await?;
        }
        Ok(())
    }

    /// Ends the oldest lease, and all keys it still holds in one revision.
    async fn revoke(&mut self, client: &Client) -> Result<()> {
        if !self.leases.is_empty() {
            let id = self.leases.remove(0);
            client.lease_revoke(LeaseRevokeRequest { id }).await?;
        }
        Ok(())
    }
}
