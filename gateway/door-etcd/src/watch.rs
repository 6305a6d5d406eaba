//! `Watch.Watch`: one client stream, served here or carried home.
//!
//! Owns the order of a stream's life: wait for the replica, refuse without a leader, then requests
//! in and deliveries out until either ends. What a watcher is given is the engine's to decide, how
//! it looks on the wire is [`crate::wire::watch`]'s.

mod deliver;
mod request;

use std::{sync::Arc, time::Duration};

use meridian_engine::{Engine, Mode};
use tonic::Code;

use crate::{
    call::{Call, Served},
    failure::Failure,
    stream::{self as streams, Ending, Opened, Requests},
};

/// How long a new stream waits for a replica that is being built before it is carried home: a
/// bootstrap of a small keyspace is over by then, and the client notices no delay that a new
/// connection could not have.
const REPLICA_PATIENCE: Duration = Duration::from_secs(3);

/// Opens the stream.
///
/// # Errors
/// When it is carried home and the home refuses.
pub(crate) async fn open(call: &Call<'_>, requests: Requests) -> Result<Opened, Failure> {
    match settled_mode(call.engine()).await {
        Mode::Local => Ok(serve(call, requests)),
        Mode::Starting | Mode::Forwarding => streams::tunnel(call, requests).await,
    }
}

async fn settled_mode(engine: &Engine) -> Mode {
    match engine.mode() {
        Mode::Starting => {
            let left = engine.mode_left(Mode::Starting);
            tokio::time::timeout(REPLICA_PATIENCE, left)
                .await
                .unwrap_or(Mode::Starting)
        }
        mode @ (Mode::Local | Mode::Forwarding) => mode,
    }
}

fn serve(call: &Call<'_>, requests: Requests) -> Opened {
    let (control, deliveries) = call.engine().watches().open();
    let connection = Arc::clone(call.connection);
    let wishes = request::Wishes::default();
    let reading = request::read(requests, control, wishes.clone(), Arc::clone(&connection));
    let ending = ending_here(call);
    let staleness = call.engine().staleness();
    Opened {
        frames: deliver::frames(connection, deliveries, wishes, Box::pin(reading), ending),
        served: Served::Local { staleness },
    }
}

/// What ends a stream served here: as any, and that the replica may no longer be shown.
fn ending_here(call: &Call<'_>) -> Ending {
    let as_any = streams::ending(call.connection, call.terms.leader);
    let engine = Arc::clone(call.engine());
    Box::pin(async move {
        tokio::select! {
            failure = as_any => failure,
            () = forwarding(&engine) => Failure::new(
                Code::Unavailable,
                "meridian: authentication was enabled on the home; open the watch again",
            ),
        }
    })
}

async fn forwarding(engine: &Engine) {
    let mut mode = engine.mode();
    while mode != Mode::Forwarding {
        mode = engine.mode_left(mode).await;
    }
}
