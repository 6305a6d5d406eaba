//! The links that members of the region have to this node: what they may open, and what they are
//! answered while it is their delegate.
//!
//! Invariant: nodes of another region are refused; the log is served only under a term that is held
//! here, which each subscription checks for itself.

use std::{sync::Arc, time::Duration};

use meridian_home::Home;
use meridian_runtime::TaskGroup;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::driver::{Happened, Published};
use crate::{
    NodeName,
    calls::{self, Shared},
    control::Beats,
    ledger::{Distance, Ledger},
    link::{
        Endpoint, Kind, Link, Recv, Send, StreamError,
        wire::{Control, PROTOCOL, Welcome, control::Body},
    },
    machine::{Assignment, HEARTBEAT, Term},
    serve::{self, Station},
    status::StatusSource,
};

/// How long a member may take to say hello once its control stream is open.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// What the links of members share.
pub(super) struct Members {
    pub(super) me: NodeName,
    pub(super) instance: u64,
    pub(super) station: Station,
    /// Read indexes that the region shares.
    pub(super) region_index: Arc<Shared>,
    pub(super) home: Arc<dyn Home>,
    pub(super) published: Arc<Published>,
    /// The driver.
    pub(super) tell: mpsc::Sender<Happened>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) status: StatusSource,
    pub(super) tasks: TaskGroup,
}

/// Takes links in.
pub(super) async fn accept(members: Arc<Members>, endpoint: Arc<Endpoint>) {
    while let Some(link) = endpoint.accept().await {
        if link.peer().region != members.me.region {
            tracing::warn!(node = %link.peer(), address = %link.remote_address(),
                region = members.me.region, "a node of another region wants the log of this one; refused");
            link.close("this node serves its own region; take the log from a hub");
            continue;
        }
        let members = Arc::clone(&members);
        let tasks = members.tasks.clone();
        tasks.spawn(
            "member",
            crate::until(tasks.token(), serve_link(members, link)),
        );
    }
}

/// Serves what the other end of a link opens, until that ends.
pub(super) async fn serve_link(members: Arc<Members>, link: Link) {
    let distance = Distance::between(&members.me, link.peer());
    let _tracked = members.ledger.track(distance, &link);
    let tasks = members.tasks.child(link.peer());
    // Also if this is dropped: streams of a session that is given up keep its link no longer.
    let _ends = tasks.token().drop_guard();
    while let Some((kind, send, recv)) = link.accept().await {
        let serving = serve_stream(Arc::clone(&members), link.clone(), kind, send, recv);
        tasks.spawn("stream", crate::until(tasks.token(), serving));
    }
}

async fn serve_stream(members: Arc<Members>, link: Link, kind: Kind, send: Send, recv: Recv) {
    let peer = link.peer();
    let distance = Distance::between(&members.me, peer).label();
    match kind {
        Kind::Control => {
            if let Err(error) = control(&members, &link, send, recv).await {
                tracing::debug!(member = %peer, %error, "a member's control stream ended");
            }
        }
        Kind::Log => {
            if let Err(error) = serve::log(&members.station, send, recv, distance).await {
                tracing::debug!(member = %peer, %error, "a member's subscription ended");
            }
        }
        Kind::Snapshot => {
            tracing::info!(member = %peer, "serving a snapshot");
            if let Err(error) = serve::snapshot(&members.station, send, recv).await {
                tracing::info!(member = %peer, %error, "a snapshot was cut off");
            }
        }
        Kind::RegionReadIndex => {
            calls::serve(
                kind,
                send,
                recv,
                Arc::clone(&members.home),
                &members.region_index,
            )
            .await;
        }
        Kind::Status => members.status.answer(send).await,
        // The home is reached through hubs alone. Dropping both halves refuses the stream.
        Kind::UnaryCall
        | Kind::StreamingCall
        | Kind::ReadIndex
        | Kind::FollowRange
        | Kind::Describe
        | Kind::AuthEnabled
        | Kind::StatusAll => {
            tracing::debug!(member = %peer, ?kind, "a member asks for what only a hub serves");
        }
    }
}

/// Speaks with one member on its control stream.
async fn control(
    members: &Members,
    link: &Link,
    mut send: Send,
    mut recv: Recv,
) -> Result<(), StreamError> {
    let first: Control = recv.message_within(HELLO_DEADLINE).await?;
    let Some(Body::Hello(_)) = first.body else {
        return Ok(());
    };
    send.message(&welcome(members)).await?;
    let relay = Arc::clone(&members.station.relay);
    let received = Arc::clone(&members.published.received);
    let mut beats = Beats::new(link.clone(), relay, received);
    let mut seen = members.published.seen.subscribe();
    let mut told: Option<Assignment> = None;
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let assignment = seen.borrow_and_update().assignment.clone();
        if assignment != told
            && let Some(assignment) = &assignment
        {
            send.message(&Control::from(Body::Assigned(assignment.into())))
                .await?;
        }
        told = assignment;
        tokio::select! {
            message = recv.message::<Control>() => {
                if let Some(Body::Assigned(assigned)) = message?.body {
                    // The driver is gone only when everything stops.
                    let _ = members.tell.send(Happened::Told(assigned.into())).await;
                }
            }
            beat = beats.hear() => {
                beat?;
            }
            _ = ticks.tick() => {
                beats.send(told.as_ref().map_or(Term::default(), |told| told.term));
            }
            changed = seen.changed() => if changed.is_err() {
                return Ok(());
            },
        }
    }
}

fn welcome(members: &Members) -> Control {
    let relay = &members.station.relay;
    Body::Welcome(Welcome {
        protocol: PROTOCOL,
        name: Some((&members.me).into()),
        lineage: relay.lineage().0,
        head: None,
        instance: members.instance,
        term: 0,
    })
    .into()
}
