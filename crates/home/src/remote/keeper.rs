//! Keeps one connection of one endpoint open, for as long as the home is wanted.
//!
//! Dial, ask the member for its status, offer the connection for calls, ask again every few
//! seconds; when it ends, pause and begin again. Invariant: a connection on which the member does
//! not answer is taken off offer. It serves no call itself.

use std::sync::Arc;

use bytes::Bytes;
use meridian_etcd_api::{Method, etcdserverpb::StatusResponse};
use meridian_runtime::Backoff;
use prost::Message;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::{self, Attempt},
    bounds::{ASIDE, DIAL_PAUSE, SURVEY_INTERVAL, SURVEY_TIMEOUT, SURVEYS_MISSED_MAX},
    channel::Client,
    dial::{Dialed, Dialer},
    endpoint::{Connection, Endpoint},
    metrics::{self, OpenConnection},
    pool::Pool,
};
use crate::{CallError, Fate};

/// Keeps one connection open.
pub(super) struct Keeper {
    pub(super) pool: Arc<Pool>,
    pub(super) endpoint: Arc<Endpoint>,
    /// Which of the endpoint's connections.
    pub(super) place: usize,
    pub(super) dialer: Dialer,
}

/// Why a connection is no longer kept.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the connection closed")]
    Closed,
    #[error("the connection failed: {0}")]
    Failed(hyper::Error),
    #[error("the member did not answer {SURVEYS_MISSED_MAX} status calls in a row")]
    Silent,
    #[error("the member did not answer its first status call: {0}")]
    NeverAnswered(String),
}

impl Keeper {
    /// Runs until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        // A token that is cancelled drops the connection; calls under way still finish.
        stop.run_until_cancelled(self.keep()).await;
    }

    async fn keep(&self) {
        let mut backoff = Backoff::new(DIAL_PAUSE.0, DIAL_PAUSE.1);
        loop {
            match self.dialer.dial().await {
                Ok(dialed) => {
                    let ended = self.serve(dialed, &mut backoff).await;
                    tracing::debug!(endpoint = %self.endpoint.url(), "{ended}");
                    self.endpoint.note_error(ended.to_string());
                }
                Err(error) => {
                    metrics::dial_failed();
                    tracing::debug!(endpoint = %self.endpoint.url(), "{error}");
                    self.endpoint.note_error(error.to_string());
                }
            }
            backoff.pause().await;
        }
    }

    /// Offers a connection until it ends.
    async fn serve(&self, dialed: Dialed, backoff: &mut Backoff) -> Ended {
        let Dialed {
            client,
            channel,
            driver,
        } = dialed;
        let connection = Connection { client, channel };
        tokio::select! {
            end = driver => end.map_or_else(Ended::Failed, |()| Ended::Closed),
            ended = self.watch_over(connection, backoff) => ended,
        }
    }

    async fn watch_over(&self, connection: Connection, backoff: &mut Backoff) -> Ended {
        let client = connection.client.clone();
        if let Err(error) = self.survey(&client).await {
            return Ended::NeverAnswered(error);
        }
        backoff.reset();
        let _open = OpenConnection::opened();
        let _offer = self.endpoint.offer(self.place, connection);
        self.pool.note_arrival();
        let mut missed = 0;
        while missed < SURVEYS_MISSED_MAX {
            sleep(SURVEY_INTERVAL).await;
            match self.survey(&client).await {
                Ok(()) => missed = 0,
                Err(error) => {
                    missed += 1;
                    self.endpoint.set_aside(ASIDE, error);
                }
            }
        }
        Ended::Silent
    }

    /// Asks the member how it is; any answer of its own counts as one.
    async fn survey(&self, client: &Client) -> Result<(), String> {
        let attempt = Attempt {
            method: Method::MaintenanceStatus,
            metadata: tonic::metadata::MetadataMap::new(),
            message: Bytes::new(),
            timeout: None,
        };
        match timeout(SURVEY_TIMEOUT, attempt::unary(client, attempt)).await {
            Err(_) => Err(format!("no status within {} s", SURVEY_TIMEOUT.as_secs())),
            Ok(Ok(reply)) => self.note_status(&reply.message),
            Ok(Err((error, None))) if error.fate == Fate::Refused => {
                self.note_refusal(&error);
                Ok(())
            }
            Ok(Err((error, fault))) => {
                Err(fault.map_or_else(|| error.to_string(), |fault| fault.to_string()))
            }
        }
    }

    fn note_status(&self, message: &Bytes) -> Result<(), String> {
        let status = StatusResponse::decode(message.clone())
            .map_err(|e| format!("its status is not etcd's: {e}"))?;
        self.endpoint.note_version(&status.version);
        let member = status.header.map_or(0, |header| header.member_id);
        self.endpoint
            .note_leader(status.leader != 0 && status.leader == member);
        if status.leader == 0 {
            self.endpoint.set_aside(ASIDE, "the member has no leader");
        } else if status.is_learner {
            self.endpoint
                .set_aside(ASIDE, "the member is a learner, which serves no calls");
        }
        Ok(())
    }

    fn note_refusal(&self, error: &CallError) {
        self.endpoint
            .note_error(format!("status refused: {}", error.message));
    }
}
