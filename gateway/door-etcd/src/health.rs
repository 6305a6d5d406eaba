//! `grpc.health.v1.Health`: whether this gateway serves.
//!
//! etcd registers the server as a whole (service `""`) and nothing else; so do we. Two messages of
//! one field each, written by hand.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use meridian_engine::{Engine, Mode};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{body::Frames, failure::Failure, wire};

pub(crate) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// `HealthCheckRequest`.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, tag = "1")]
    service: String,
}

/// `HealthCheckResponse`.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `HealthCheckResponse.ServingStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

impl Status {
    fn of(mode: Mode) -> Self {
        match mode {
            Mode::Starting => Self::NotServing,
            Mode::Local | Mode::Forwarding => Self::Serving,
        }
    }

    fn frame(self) -> Bytes {
        wire::framed(&Response {
            status: self as i32,
        })
    }
}

/// The answer to `Check`.
pub(crate) fn check(engine: &Engine, message: &[u8]) -> Result<Bytes, Failure> {
    if is_server(message)? {
        Ok(Status::of(engine.mode()).frame())
    } else {
        Err(Failure::new(Code::NotFound, "unknown service"))
    }
}

/// The answers to `Watch`: the status now and at each change.
pub(crate) fn watch(
    engine: &Arc<Engine>,
    draining: &CancellationToken,
    message: &[u8],
) -> Result<Frames, Failure> {
    let known = is_server(message)?;
    let watched = Watched {
        engine: Arc::clone(engine),
        draining: draining.clone(),
        known,
        told: None,
    };
    Ok(Box::pin(stream::unfold(watched, async |mut watched| {
        let next = watched.next().await;
        next.map(|frame| (Ok(frame), watched))
    })))
}

struct Watched {
    engine: Arc<Engine>,
    draining: CancellationToken,
    known: bool,
    told: Option<(Mode, Status)>,
}

impl Watched {
    async fn next(&mut self) -> Option<Bytes> {
        let draining = self.draining.clone();
        tokio::select! {
            () = draining.cancelled() => None,
            status = self.changed() => Some(status.frame()),
        }
    }

    async fn changed(&mut self) -> Status {
        loop {
            let mode = match self.told {
                None => self.engine.mode(),
                Some(_) if !self.known => std::future::pending().await,
                Some((mode, _)) => self.engine.mode_left(mode).await,
            };
            let status = if self.known {
                Status::of(mode)
            } else {
                Status::ServiceUnknown
            };
            let before = self.told.replace((mode, status));
            if before.is_none_or(|(_, told)| told != status) {
                return status;
            }
        }
    }
}

fn is_server(message: &[u8]) -> Result<bool, Failure> {
    let request = Request::decode(message).map_err(|error| Failure::unmarshal(&error))?;
    Ok(request.service.is_empty())
}
