//! One unary call over all endpoints, until it has an outcome.
//!
//! Owns the rule of sending again: a call that provably did not leave goes to another endpoint
//! until its time is up; a call that leaves nothing behind also after `UNAVAILABLE` or a lost
//! connection, a bounded number of times; nothing else ever.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use meridian_etcd_api::Method;
use meridian_runtime::Backoff;
use tokio::time::timeout_at;
use tonic::{Code, metadata::MetadataMap};

use super::{
    attempt::{self, Attempt, Failure},
    bounds::{ASIDE, LONG_CALL_TIMEOUT, Patience, READ_ATTEMPTS_MAX, RESEND_PAUSE, SILENCE},
    endpoint::Endpoint,
    fault, headers, metrics,
    pool::{Chosen, Pool, Route},
};
use crate::{Call, CallError, Fate, Reply};

/// When a call's waits end.
#[derive(Clone, Copy)]
struct Limits {
    /// The client's own deadline.
    client: Option<Instant>,
    /// A connection must be there by then.
    connect_by: Instant,
    /// The answer must be there by then; none for calls that wait for another client.
    answer_by: Option<Instant>,
}

impl Limits {
    fn of(call: &Call, call_timeout: Duration) -> Self {
        let now = Instant::now();
        let ours = match Patience::of(call.method) {
            Patience::Ordinary => Some(now + call_timeout),
            Patience::Long => Some(now + LONG_CALL_TIMEOUT.max(call_timeout)),
            Patience::Endless => None,
        };
        let connect_by = now + call_timeout;
        Self {
            client: call.deadline,
            connect_by: call
                .deadline
                .map_or(connect_by, |client| client.min(connect_by)),
            answer_by: call.deadline.or(ours),
        }
    }

    /// What the client is told when no endpoint could be reached in time.
    fn unreachable(&self) -> CallError {
        match self.client {
            Some(client) if client <= Instant::now() => fault::deadline_passed(Fate::NotSent),
            Some(_) | None => fault::no_connection(),
        }
    }

    /// What the client is told when no answer came in time.
    fn unanswered(&self) -> CallError {
        match self.client {
            Some(_) => fault::deadline_passed(Fate::Unknown),
            None => fault::no_answer(),
        }
    }
}

/// Carries `call` to an outcome.
pub(super) async fn unary(
    pool: &Pool,
    call: Call,
    call_timeout: Duration,
) -> Result<Reply, CallError> {
    let method = call.method;
    let result = carry(pool, call, call_timeout).await;
    metrics::call_ended(method, &result);
    result
}

async fn carry(pool: &Pool, call: Call, call_timeout: Duration) -> Result<Reply, CallError> {
    let limits = Limits::of(&call, call_timeout);
    let Call {
        method,
        metadata,
        message,
        deadline: _,
    } = call;
    let metadata = headers::forwarded(&metadata);
    let mut backoff = Backoff::new(RESEND_PAUSE.0, RESEND_PAUSE.1);
    let mut failed_at: Option<Arc<Endpoint>> = None;
    let mut left = 0;
    loop {
        let chosen = pool
            .choose(route(method), failed_at.as_ref(), limits.connect_by)
            .await;
        let Some(chosen) = chosen else {
            return Err(limits.unreachable());
        };
        let attempt = prepare(method, &metadata, &message, &limits)?;
        let (error, _) = match send(&chosen, attempt, &limits).await {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        left += u32::from(error.fate != Fate::NotSent);
        if !may_resend(method, &error, left) || !limits.leave_time() {
            return Err(error);
        }
        metrics::resent(method);
        failed_at = Some(chosen.endpoint);
        backoff.pause().await;
    }
}

impl Limits {
    fn leave_time(&self) -> bool {
        let now = Instant::now();
        now < self.connect_by && self.answer_by.is_none_or(|by| now < by)
    }
}

fn route(method: Method) -> Route {
    match method {
        // Only the leader can hand its office over.
        Method::MaintenanceMoveLeader => Route::Leader,
        _ => Route::Turn,
    }
}

fn prepare(
    method: Method,
    metadata: &MetadataMap,
    message: &bytes::Bytes,
    limits: &Limits,
) -> Result<Attempt, CallError> {
    let timeout = limits
        .client
        .map(|at| at.saturating_duration_since(Instant::now()));
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(fault::deadline_passed(Fate::NotSent));
    }
    Ok(Attempt {
        method,
        metadata: metadata.clone(),
        message: message.clone(),
        timeout,
    })
}

async fn send(chosen: &Chosen, attempt: Attempt, limits: &Limits) -> Result<Reply, Failure> {
    let begun = Instant::now();
    let is_ordinary = Patience::of(attempt.method) == Patience::Ordinary;
    let answer = attempt::unary(&chosen.connection.client, attempt);
    let outcome = match limits.answer_by {
        None => answer.await,
        Some(by) => match timeout_at(by.into(), answer).await {
            Ok(outcome) => outcome,
            Err(_) => {
                if is_ordinary && begun.elapsed() >= SILENCE {
                    chosen
                        .endpoint
                        .set_aside(ASIDE, "a call was not answered in time");
                }
                return Err((limits.unanswered(), None));
            }
        },
    };
    if let Err((error, fault)) = &outcome {
        blame(&chosen.endpoint, error, fault.as_ref());
    }
    outcome
}

/// Sets an endpoint aside if a failure says that another would do better.
pub(super) fn blame(endpoint: &Endpoint, error: &CallError, fault: Option<&fault::Fault>) {
    match fault {
        Some(fault) => endpoint.set_aside(RESEND_PAUSE.1, fault.to_string()),
        None if fault::blames_member(error) => endpoint.set_aside(ASIDE, &*error.message),
        None => {}
    }
}

fn may_resend(method: Method, error: &CallError, left: u32) -> bool {
    match error.fate {
        Fate::NotSent => true,
        Fate::Refused | Fate::Unknown => {
            method.is_repeatable() && error.code == Code::Unavailable && left < READ_ATTEMPTS_MAX
        }
    }
}
