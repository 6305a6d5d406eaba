//! What Meridian itself asks of the home: the read index, and whether authentication is enabled.
//!
//! These calls carry no client's credentials, and `hasleader`, so that a member without leader
//! refuses them at once instead of keeping them waiting.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use meridian_etcd_api::{Method, etcdserverpb as pb};
use prost::Message;
use tokio::time::timeout_at;
use tonic::{
    Code,
    metadata::{MetadataMap, MetadataValue},
};

use super::{
    attempt::{self, Attempt},
    bounds::{ASIDE, READ_INDEX_ATTEMPT, READ_INDEX_TIMEOUT},
    endpoint::Endpoint,
    exchange::{self, blame},
    fault, metrics,
    pool::{Chosen, Pool, Route},
    wire,
};
use crate::{Call, CallError, Facts, Fate};

/// The lowest key, and with it as the range's end too, all keys.
pub(super) const LOWEST_KEY: &[u8] = &[0];

/// The metadata of a call that wants a member with a leader.
pub(super) fn with_leader() -> MetadataMap {
    let mut metadata = MetadataMap::with_capacity(1);
    metadata.insert("hasleader", MetadataValue::from_static("true"));
    metadata
}

/// The home's linearizable revision, from whichever endpoint tells it first in turn.
pub(super) async fn read_index(pool: &Pool) -> Result<Facts, CallError> {
    let begun = Instant::now();
    let result = try_read_index(pool, begun + READ_INDEX_TIMEOUT).await;
    metrics::read_index_ended(&result, begun.elapsed());
    result
}

async fn try_read_index(pool: &Pool, by: Instant) -> Result<Facts, CallError> {
    let message = Bytes::from(lowest_key_count().encode_to_vec());
    let mut failed: Option<(Arc<Endpoint>, CallError)> = None;
    loop {
        let not = failed.as_ref().map(|(endpoint, _)| endpoint);
        let Some(chosen) = pool.choose(Route::Turn, not, by).await else {
            return Err(failed.map_or_else(fault::no_connection, |(_, error)| error));
        };
        match ask(&chosen, message.clone(), by).await {
            Ok(facts) => return Ok(facts),
            Err(error) if error.means_auth_required() || Instant::now() >= by => return Err(error),
            Err(error) => failed = Some((chosen.endpoint, error)),
        }
        // An endpoint that refuses at once must not be asked in a tight loop.
        tokio::time::sleep(PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

/// Between two endpoints: three members and back again fit some thirty times into the deadline.
const PAUSE: Duration = Duration::from_millis(30);

/// The cheapest linearizable question: how many keys are named by one zero byte.
fn lowest_key_count() -> pb::RangeRequest {
    pb::RangeRequest {
        key: Bytes::from_static(LOWEST_KEY),
        limit: 1,
        count_only: true,
        ..Default::default()
    }
}

async fn ask(chosen: &Chosen, message: Bytes, by: Instant) -> Result<Facts, CallError> {
    let by = by.min(Instant::now() + READ_INDEX_ATTEMPT);
    let attempt = Attempt {
        method: Method::KvRange,
        metadata: with_leader(),
        message,
        timeout: None,
    };
    let answer = attempt::unary(&chosen.connection.client, attempt);
    let Ok(outcome) = timeout_at(by.into(), answer).await else {
        chosen
            .endpoint
            .set_aside(ASIDE, "a read index was not answered in time");
        return Err(fault::no_answer());
    };
    match outcome {
        Ok(reply) => wire::range_page(&reply.message)
            .map(|page| page.facts)
            .map_err(broken),
        Err((error, fault)) => {
            blame(&chosen.endpoint, &error, fault.as_ref());
            Err(error)
        }
    }
}

/// Whether authentication is enabled. etcd tells since 3.5; before, a read without credentials
/// does. Either answer may itself be the refusal that says so.
pub(super) async fn auth_enabled(pool: &Pool, call_timeout: Duration) -> Result<bool, CallError> {
    let message = Bytes::from(pb::AuthStatusRequest {}.encode_to_vec());
    let status = Call {
        metadata: with_leader(),
        ..Call::new(Method::AuthStatus, message)
    };
    match exchange::unary(pool, status, call_timeout).await {
        Ok(reply) => pb::AuthStatusResponse::decode(reply.message)
            .map(|status| status.enabled)
            .map_err(|e| broken(e.to_string())),
        Err(error) if error.means_auth_required() => Ok(true),
        Err(error) if error.code == Code::Unimplemented => deduce_auth(pool).await,
        Err(error) => Err(error),
    }
}

async fn deduce_auth(pool: &Pool) -> Result<bool, CallError> {
    match read_index(pool).await {
        Ok(_) => Ok(false),
        Err(error) if error.means_auth_required() => Ok(true),
        Err(error) => Err(error),
    }
}

/// An answer that cannot be read.
pub(super) fn broken(what: impl ToString) -> CallError {
    CallError::new(Code::Internal, what.to_string(), Fate::Refused)
}
