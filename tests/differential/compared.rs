//! Answers in the form in which two servers must agree: who answered is left out, and what hangs on the
//! clock or on a hash map's order is put in order.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use meridian_etcd_api::{
    etcdserverpb::{
        LeaseTimeToLiveResponse, RangeRequest, RangeResponse, RequestOp, ResponseHeader,
        ResponseOp, TxnRequest, TxnResponse, WatchCreateRequest, request_op::Request,
        response_op::Response,
    },
    mvccpb::{Event, event::EventType},
};
use meridian_tests::{ask, client::Client, expect, generate::Step, watching::Watching};
use tonic::{Code, Status};

/// What came of one step.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Given {
        revision: i64,
        named: bool,
        shown: String,
    },
    Refused(Code, String),
}

impl Answer {
    pub(crate) fn revision(&self) -> i64 {
        match self {
            Self::Given { revision, .. } => *revision,
            Self::Refused(..) => 0,
        }
    }
}

fn given<A: std::fmt::Debug>(
    header: &mut Option<ResponseHeader>,
    rest: impl FnOnce() -> A,
) -> Answer {
    let header = header.take().unwrap_or_default();
    let named = header.cluster_id != 0 && header.member_id != 0 && header.raft_term != 0;
    Answer::Given {
        revision: header.revision,
        named,
        shown: format!("{:?}", rest()),
    }
}

macro_rules! taken {
    ($answer:expr) => {{
        let mut answer = $answer?;
        let mut header = answer.header.take();
        Ok(given(&mut header, || answer))
    }};
}

/// Takes a step and gives what came of it.
pub(crate) async fn answer(client: &Client, step: &Step) -> Answer {
    take(client, step.clone())
        .await
        .unwrap_or_else(|status| Answer::Refused(status.code(), status.message().to_owned()))
}

async fn take(client: &Client, step: Step) -> Result<Answer, Status> {
    match step {
        Step::Range(request) => taken!(
            client
                .range(request.clone())
                .await
                .map(|answer| settled(&request, answer))
        ),
        Step::Put(request) => taken!(client.put(request).await),
        Step::Delete(request) => taken!(client.delete(request).await),
        Step::Txn(request) => taken!(
            client
                .txn(request.clone())
                .await
                .map(|answer| settled_txn(&request, answer))
        ),
        Step::Compact(request) => taken!(client.compact(request).await),
        Step::Grant(request) => taken!(client.lease_grant(request).await),
        Step::Revoke(request) => taken!(client.lease_revoke(request).await),
        Step::TimeToLive(request) => {
            taken!(client.lease_time_to_live(request).await.map(settled_lease))
        }
        Step::Leases(request) => taken!(client.lease_leases(request).await.map(|mut answer| {
            answer.leases.sort_by_key(|lease| lease.id);
            answer
        })),
    }
}

/// Sorted by anything but the key, equals come in any order.
fn settled(request: &RangeRequest, mut answer: RangeResponse) -> RangeResponse {
    if request.sort_target != 0 {
        answer.kvs.sort_by(|one, other| one.key.cmp(&other.key));
    }
    answer
}

fn settled_txn(request: &TxnRequest, answer: TxnResponse) -> TxnResponse {
    let ops = if answer.succeeded {
        &request.success
    } else {
        &request.failure
    };
    let responses = ops
        .iter()
        .zip(answer.responses)
        .map(|(op, answer)| settled_op(op, answer))
        .collect();
    TxnResponse {
        responses,
        ..answer
    }
}

fn settled_op(op: &RequestOp, answer: ResponseOp) -> ResponseOp {
    let response = match (&op.request, answer.response) {
        (Some(Request::RequestRange(request)), Some(Response::ResponseRange(answer))) => {
            Some(Response::ResponseRange(settled(request, answer)))
        }
        (Some(Request::RequestTxn(request)), Some(Response::ResponseTxn(answer))) => {
            Some(Response::ResponseTxn(settled_txn(request, answer)))
        }
        (_, answer) => answer,
    };
    ResponseOp { response }
}

fn settled_lease(mut answer: LeaseTimeToLiveResponse) -> LeaseTimeToLiveResponse {
    answer.keys.sort();
    if (answer.granted_ttl - 60..=answer.granted_ttl).contains(&answer.ttl) && answer.ttl > 0 {
        answer.ttl = answer.granted_ttl;
    }
    answer
}

/// All events of a watch, up to one that this call makes.
pub(crate) async fn events(
    client: &Client,
    mut watching: Watching,
    request: &WatchCreateRequest,
) -> Result<Vec<Event>> {
    // Whatever is filtered, one of the two comes through, unless both are.
    if request.filters.len() == 2 {
        return Ok(Vec::new());
    }
    let key = request.key.clone();
    client.put(ask::put(key.clone(), "the end")).await?;
    let last = expect::revision(client.delete(ask::delete(key)).await?.header.as_ref())?;
    let last = if request.filters.contains(&1) {
        last - 1
    } else {
        last
    };
    let mut events: Vec<Event> = Vec::new();
    while events
        .last()
        .and_then(|event| event.kv.as_ref())
        .is_none_or(|kv| kv.mod_revision < last)
    {
        let answer = watching
            .batch()
            .await
            .with_context(|| format!("waiting for revision {last}"))?;
        let newest = expect::revision(answer.header.as_ref())?;
        for event in answer.events {
            let at = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            ensure!(at <= newest, "an event of {at} under a header of {newest}");
            events.push(event);
        }
    }
    Ok(events)
}

/// What a server still knows of the past.
#[derive(Debug, PartialEq)]
pub(crate) struct History {
    /// The newest compaction; 0 if there was none.
    compacted: i64,
    /// All events that a watch can still be given.
    events: Vec<Event>,
    /// What is stored now.
    state: RangeResponse,
}

impl History {
    /// Leaves out the deletions at the very compaction, which some releases lose.
    pub(crate) fn without_deletions_at_the_compaction(mut self) -> Self {
        let compacted = self.compacted;
        self.events.retain(|event| {
            let at = event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
            event.r#type() == EventType::Put || at != compacted
        });
        self
    }
}

/// Everything that a server still knows, up to a write that this call makes.
pub(crate) async fn history(client: &Client) -> Result<History> {
    let zero = Bytes::from_static(b"\0");
    let put = client.put(ask::put("a", "the very end")).await?;
    let last = expect::revision(put.header.as_ref())?;
    let all = WatchCreateRequest {
        key: zero.clone(),
        range_end: zero.clone(),
        start_revision: 1,
        prev_kv: true,
        ..Default::default()
    };
    let mut watching = Watching::open(client);
    watching.created(all.clone()).await?;
    let mut answer = watching.next().await?;
    let compacted = answer.compact_revision;
    if answer.canceled {
        let again = WatchCreateRequest {
            start_revision: compacted,
            ..all
        };
        watching.created(again).await?;
        answer = watching.next().await?;
    }
    let mut events = answer.events;
    while events
        .last()
        .and_then(|event| event.kv.as_ref())
        .is_none_or(|kv| kv.mod_revision < last)
    {
        events.extend(watching.next().await?.events);
    }
    let mut state = client
        .range(RangeRequest {
            range_end: zero.clone(),
            ..ask::get(zero)
        })
        .await?;
    state.header = None;
    Ok(History {
        compacted,
        events,
        state,
    })
}

/// What is stored now, for a person to look at: key, change, version, lease.
pub(crate) async fn keys(client: &Client) -> Result<Vec<(Bytes, i64, i64, i64)>, Status> {
    let zero = Bytes::from_static(b"\0");
    let all = RangeRequest {
        range_end: zero.clone(),
        ..ask::get(zero)
    };
    let kvs = client.range(all).await?.kvs.into_iter();
    Ok(kvs
        .map(|kv| (kv.key, kv.mod_revision, kv.version, kv.lease))
        .collect())
}
