//! The writer of a fan-out: puts whose values begin with the time they were sent.
//!
//! The clock is this process's own, so a stamp means nothing to another.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::{BufMut, Bytes, BytesMut};
use meridian_etcd_api::etcdserverpb::PutRequest;
use tokio::{task::JoinSet, time::timeout};

use super::{DEADLINE, FanOut, PREFIX, WriteRate};
use crate::{
    connection::{CallFailed, Caller, Connection, frame},
    pacer::Pacer,
};

/// Puts in flight at a fixed rate; more is a home that cannot keep up.
const IN_FLIGHT_MAX: usize = 256;

/// Stamps count from here.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How long ago the value was stamped; none if it is too short to be.
pub(super) fn since_stamp(value: &[u8]) -> Option<Duration> {
    let nanos = u64::from_be_bytes(value.get(..8)?.try_into().ok()?);
    ORIGIN.elapsed().checked_sub(Duration::from_nanos(nanos))
}

#[derive(Debug)]
pub(super) struct Writer {
    caller: Caller,
    keys: u64,
    value_bytes: usize,
    _connection: Connection,
}

impl Writer {
    pub(super) async fn open(form: &FanOut) -> anyhow::Result<Self> {
        LazyLock::force(&ORIGIN);
        let connection = Connection::open(&form.writer)
            .await
            .context("connect the writer")?;
        let caller = connection.caller("etcdserverpb.KV/Put");
        let (keys, value_bytes) = (form.keys.max(1), form.value_bytes.max(8));
        Ok(Self {
            caller,
            keys,
            value_bytes,
            _connection: connection,
        })
    }

    /// Puts for `duration` and says how many were acknowledged; the first refusal is an error.
    pub(super) async fn write(
        &mut self,
        rate: WriteRate,
        duration: Duration,
    ) -> anyhow::Result<u64> {
        match rate {
            WriteRate::Closed => self.write_closed(Instant::now() + duration).await,
            WriteRate::PerSecond(rate) => self.write_paced(Pacer::start(rate, duration)).await,
        }
    }

    async fn write_closed(&mut self, end: Instant) -> anyhow::Result<u64> {
        let mut puts = 0;
        while Instant::now() < end {
            let put = self.put(puts);
            timeout(DEADLINE, self.caller.call(put))
                .await
                .context("a put takes too long")??;
            puts += 1;
        }
        Ok(puts)
    }

    async fn write_paced(&mut self, mut pacer: Pacer) -> anyhow::Result<u64> {
        let mut calls: JoinSet<Result<u64, CallFailed>> = JoinSet::new();
        let (mut issued, mut puts) = (0, 0);
        while let Some(due) = pacer.due_beyond(issued).await {
            while issued < due {
                if calls.len() >= IN_FLIGHT_MAX {
                    puts += finished(&mut calls).await?;
                }
                let (mut caller, put) = (self.caller.clone(), self.put(issued));
                calls.spawn(async move { caller.call(put).await });
                issued += 1;
            }
            while let Some(joined) = calls.try_join_next() {
                joined??;
                puts += 1;
            }
        }
        while !calls.is_empty() {
            puts += finished(&mut calls).await?;
        }
        Ok(puts)
    }

    fn put(&self, n: u64) -> Bytes {
        let mut value = BytesMut::with_capacity(self.value_bytes);
        value.put_u64(u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX));
        value.put_bytes(b'v', self.value_bytes - 8);
        let key = Bytes::from(format!("{PREFIX}{:037}", n % self.keys));
        frame(&PutRequest {
            key,
            value: value.freeze(),
            ..PutRequest::default()
        })
    }
}

/// Waits for one put to be acknowledged.
async fn finished(calls: &mut JoinSet<Result<u64, CallFailed>>) -> anyhow::Result<u64> {
    let joined = timeout(DEADLINE, calls.join_next())
        .await
        .context("a put takes too long")?;
    joined.context("no put in flight")???;
    Ok(1)
}
