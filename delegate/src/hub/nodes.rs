//! The links of a hub: what each node may open, and what it is answered.
//!
//! Invariant: streams of one link are independent of each other; a node speaks for itself alone, as
//! its certificate says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use futures_util::{StreamExt, stream::FuturesUnordered};
use meridian_home::Home;
use meridian_keyspace::Revision;
use meridian_runtime::TaskGroup;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{RegionSeen, coordinator::Said};
use crate::{
    NodeName,
    calls::{self, Shared},
    control::Beats,
    ledger::{Distance, Ledger},
    link::{
        Endpoint, Kind, Link, Recv, Send, StreamError,
        wire::{Control, Hello, PROTOCOL, Place, Welcome, control::Body},
    },
    machine::{
        HEARTBEAT, Term,
        assign::{Event, LinkId},
    },
    serve::{self, Station},
    status::{self, NodeDocument, StatusSource},
};

/// How long a node may take to say hello once its control stream is open.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// How long the streams of a link that has ended may take to end: they are dropped where they wait.
const STREAMS_DEADLINE: Duration = Duration::from_secs(1);

/// How long a node may take to tell its status: what stands still is left out. Who asks for all may
/// wait for those that are being gathered, and then for his own: 2.5 s of the 2.8 that a node waits.
const STATUS_DEADLINE: Duration = Duration::from_millis(1250);

/// What the hub's links share.
pub(super) struct Nodes {
    pub(super) me: NodeName,
    pub(super) instance: u64,
    pub(super) station: Station,
    pub(super) shared: Arc<Shared>,
    pub(super) home: Arc<dyn Home>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) events: mpsc::Sender<Said>,
    pub(super) seen: watch::Receiver<Vec<RegionSeen>>,
    /// The newest link of each node that has said hello.
    pub(super) links: DashMap<NodeName, (LinkId, Link)>,
    pub(super) status: StatusSource,
    /// The documents gathered last, for those who asked before that began.
    pub(super) gathered: tokio::sync::Mutex<Option<(Instant, Vec<NodeDocument>)>>,
    pub(super) tasks: TaskGroup,
}

/// Takes links in.
pub(super) async fn accept(nodes: Arc<Nodes>, endpoint: Arc<Endpoint>) {
    static LINKS: AtomicU64 = AtomicU64::new(0);
    while let Some(link) = endpoint.accept().await {
        let id = LinkId(LINKS.fetch_add(1, Ordering::Relaxed));
        let nodes = Arc::clone(&nodes);
        let tasks = nodes.tasks.clone();
        tasks.spawn(
            "link",
            crate::until(tasks.token(), serve_link(nodes, link, id)),
        );
    }
}

async fn serve_link(nodes: Arc<Nodes>, link: Link, id: LinkId) {
    let distance = Distance::between(&nodes.me, link.peer());
    let _tracked = nodes.ledger.track(distance, &link);
    tracing::info!(node = %link.peer(), address = %link.remote_address(), "a node has linked");
    let tasks = nodes.tasks.child(link.peer());
    while let Some((kind, send, recv)) = link.accept().await {
        let serving = serve_stream(Arc::clone(&nodes), link.clone(), id, kind, send, recv);
        tasks.spawn("stream", crate::until(tasks.token(), serving));
    }
    let why = link.closed().await;
    tracing::info!(node = %link.peer(), %why, "a node's link ended");
    // Nothing is said in its name after it is said to have left.
    tasks.stop(STREAMS_DEADLINE).await;
    nodes
        .links
        .remove_if(link.peer(), |_, (known, _)| *known == id);
    let left = Event::Left {
        node: link.peer().clone(),
        link: id,
    };
    // The coordinator is gone only when everything stops.
    let _ = nodes.events.send(Said::Event(left)).await;
}

async fn serve_stream(
    nodes: Arc<Nodes>,
    link: Link,
    id: LinkId,
    kind: Kind,
    send: Send,
    recv: Recv,
) {
    let peer = link.peer().clone();
    let distance = Distance::between(&nodes.me, &peer).label();
    match kind {
        Kind::Control => {
            let ended = control(&nodes, &link, id, send, recv).await;
            if let Err(error) = ended {
                tracing::debug!(node = %peer, %error, "a control stream ended");
            }
            // The link may live on: a node that has gone over to another hub lets the calls end that
            // it has here.
            nodes.links.remove_if(&peer, |_, (known, _)| *known == id);
            let left = Event::Left {
                node: peer,
                link: id,
            };
            let _ = nodes.events.send(Said::Event(left)).await;
        }
        Kind::Log => {
            if let Err(error) = serve::log(&nodes.station, send, recv, distance).await {
                tracing::debug!(node = %peer, %error, "a subscription ended");
            }
        }
        Kind::Snapshot => {
            tracing::info!(node = %peer, "serving a snapshot");
            match serve::snapshot(&nodes.station, send, recv).await {
                Ok(()) => tracing::info!(node = %peer, "a snapshot ended"),
                Err(error) => tracing::info!(node = %peer, %error, "a snapshot was cut off"),
            }
        }
        Kind::Status => nodes.status.answer(send).await,
        Kind::StatusAll => {
            let all = status_all(&nodes).await;
            status::answer_list(send, all).await;
        }
        Kind::UnaryCall
        | Kind::StreamingCall
        | Kind::ReadIndex
        | Kind::RegionReadIndex
        | Kind::FollowRange
        | Kind::Describe
        | Kind::AuthEnabled => {
            calls::serve(kind, send, recv, Arc::clone(&nodes.home), &nodes.shared).await;
        }
    }
}

/// Speaks with one node on its control stream.
async fn control(
    nodes: &Nodes,
    link: &Link,
    id: LinkId,
    mut send: Send,
    mut recv: Recv,
) -> Result<(), StreamError> {
    let first: Control = recv.message_within(HELLO_DEADLINE).await?;
    let Some(Body::Hello(hello)) = first.body else {
        return Ok(());
    };
    if let Some(why) = unwelcome(&hello, link.peer()) {
        tracing::warn!(node = %link.peer(), address = %link.remote_address(), why, "a node is refused");
        link.close(&why);
        return Ok(());
    }
    send.message(&welcome(nodes)).await?;
    if hello.protocol != PROTOCOL {
        return Ok(());
    }
    let (tell, mut assignments) = watch::channel(None);
    nodes.links.insert(link.peer().clone(), (id, link.clone()));
    let joined = joined(hello, link.peer(), id);
    let _ = nodes.events.send(Said::Joined(joined, tell)).await;
    let relay = Arc::clone(&nodes.station.relay);
    let mut beats = Beats::new(link.clone(), relay, Arc::default());
    let mut ticks = interval(HEARTBEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut term = Term::default();
    loop {
        tokio::select! {
            message = recv.message::<Control>() => {
                if let Some(Body::Complaint(complaint)) = message?.body {
                    let event = Event::Complained {
                        node: link.peer().clone(),
                        term: Term::new(complaint.term),
                    };
                    let _ = nodes.events.send(Said::Event(event)).await;
                }
            }
            beat = beats.hear() => {
                let event = Event::Heard {
                    node: link.peer().clone(),
                    position: Revision::new(beat?.at.unwrap_or_default().revision),
                };
                let _ = nodes.events.send(Said::Event(event)).await;
            }
            changed = assignments.changed() => {
                if changed.is_err() {
                    // A newer link of this node is the one that is told.
                    return Ok(());
                }
                let assigned = assignments.borrow_and_update().as_ref().map(|assignment| {
                    term = assignment.term;
                    Control::from(Body::Assigned(assignment.into()))
                });
                if let Some(assigned) = assigned {
                    send.message(&assigned).await?;
                }
            }
            _ = ticks.tick() => beats.send(term),
        }
    }
}

/// Why a node cannot be admitted, if so.
fn unwelcome(hello: &Hello, peer: &NodeName) -> Option<String> {
    let claimed = hello.name.clone().map(NodeName::from);
    match claimed {
        Some(claimed) if claimed == *peer => None,
        Some(claimed) => Some(format!(
            "it says that it is {claimed}, its certificate that it is {peer}; give it a certificate of its own (meridian pki issue)"
        )),
        None => Some("its hello has no name".to_owned()),
    }
}

fn welcome(nodes: &Nodes) -> Control {
    let relay = &nodes.station.relay;
    Body::Welcome(Welcome {
        protocol: PROTOCOL,
        name: Some((&nodes.me).into()),
        lineage: relay.lineage().0,
        head: relay.at().map(|at| Place {
            epoch: at.epoch.get(),
            revision: at.revision.get(),
        }),
        instance: nodes.instance,
        term: 0,
    })
    .into()
}

fn joined(hello: Hello, peer: &NodeName, link: LinkId) -> Event {
    Event::Joined {
        node: peer.clone(),
        link,
        relay: hello.relay,
        position: Revision::new(hello.at.unwrap_or_default().revision),
        follows: hello.follows.map(Into::into),
    }
}

/// The status of this process and of every node that is linked, asked after this was called. However
/// many want it, one gathers at a time.
pub(super) async fn status_all(nodes: &Nodes) -> Vec<NodeDocument> {
    let called = Instant::now();
    let mut gathered = nodes.gathered.lock().await;
    if let Some((began, all)) = &*gathered
        && *began >= called
    {
        return all.clone();
    }
    let began = Instant::now();
    let all = gather(nodes).await;
    *gathered = Some((began, all.clone()));
    all
}

async fn gather(nodes: &Nodes) -> Vec<NodeDocument> {
    // No entry of the map is held while we wait.
    let links: Vec<Link> = nodes
        .links
        .iter()
        .map(|entry| entry.value().1.clone())
        .collect();
    let asking: FuturesUnordered<_> = links.iter().map(ask_status).collect();
    let mut all: Vec<NodeDocument> = asking.collect().await;
    all.push(NodeDocument {
        node: nodes.me.clone(),
        answer: nodes
            .status
            .now()
            .ok_or_else(|| "it is starting".to_owned()),
    });
    all.sort_by(|a, b| a.node.cmp(&b.node));
    all
}

async fn ask_status(link: &Link) -> NodeDocument {
    let asking = async {
        let (mut send, mut recv) = link.open(Kind::Status).await?;
        send.open_and_finish().await?;
        recv.frame().await?.ok_or(StreamError::Ended)
    };
    let answer = match timeout(STATUS_DEADLINE, asking).await {
        Ok(Ok(document)) => {
            String::from_utf8(document.to_vec()).map_err(|_| "its status is no text".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {STATUS_DEADLINE:?}")),
    };
    NodeDocument {
        node: link.peer().clone(),
        answer,
    }
}
