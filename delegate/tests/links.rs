//! Goal: over real QUIC on loopback every node applies each revision once and in order, whatever happens
//! to hubs, delegates and links. Method: hubs beside an embedded home, nodes with real replicas, a UDP
//! forwarder that can be cut; levels are waited for with a deadline.

#[cfg(test)]
#[path = "links/forwarder.rs"]
mod forwarder;
#[cfg(test)]
#[path = "links/pki.rs"]
mod pki;
#[cfg(test)]
#[path = "links/replica.rs"]
mod replica;
#[cfg(test)]
#[path = "links/world.rs"]
mod world;

use std::net::Ipv4Addr;

use meridian_delegate::{Endpoint, Kind, link::wire};
use meridian_keyspace::WindowLimits;
use meridian_revlog::{Decoder, FrameReader};
use meridian_runtime::TaskGroup;

use self::{
    forwarder::Forwarder,
    world::{Node, Setup, World, eventually},
};

const LARGE: usize = 64 << 20;

/// The nodes of the region, its delegate first.
fn by_role(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by_key(|node| node.status().source != "hub");
    nodes
}

async fn region(world: &World, hubs: &[&str], names: &[&str]) -> Vec<Node> {
    let nodes: Vec<Node> = names
        .iter()
        .map(|name| world.node("eu", name, hubs))
        .collect();
    for node in &nodes {
        node.settles().await;
    }
    one_takes_it_from_the_hub(&nodes).await;
    by_role(nodes)
}

async fn one_takes_it_from_the_hub(nodes: &[Node]) {
    let sources = || {
        nodes
            .iter()
            .map(|node| node.status().source)
            .collect::<Vec<_>>()
    };
    eventually(
        "one node takes the log from the hub, the others from it",
        || {
            let sources = sources();
            sources.iter().filter(|source| *source == "hub").count() == 1
                && sources
                    .iter()
                    .filter(|source| *source == "delegate")
                    .count()
                    == sources.len() - 1
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_applies_each_revision_once_and_a_joiner_comes_in_between() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let nodes = region(&world, &[&hub.address], &["gw-1", "gw-2", "gw-3"]).await;
    let elsewhere = world.node("ap", "gw-1", &[&hub.address]);
    world.write(150).await;
    let joiner = world.node("eu", "gw-4", &[&hub.address]);
    world.write(150).await;
    for node in nodes.iter().chain([&elsewhere, &joiner]) {
        world.equals(&node.replica).await;
        assert_eq!(node.replica.rebuilt(), 0);
    }
    world.equals(&hub.replica).await;
    assert_eq!(hub.hub.status().direct_members, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_go_on_when_their_delegate_is_gone_and_it_comes_back() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let mut nodes = region(&world, &[&hub.address], &["gw-1", "gw-2", "gw-3"]).await;
    world.write(20).await;
    let gone = nodes.remove(0);
    let name = gone.name.clone();
    gone.stop().await;
    world.write(40).await;
    for node in &nodes {
        world.equals(&node.replica).await;
    }
    one_takes_it_from_the_hub(&nodes).await;
    nodes.push(world.node("eu", &name, &[&hub.address]));
    world.write(20).await;
    for node in &nodes {
        world.equals(&node.replica).await;
        assert_eq!(node.replica.rebuilt(), 0);
    }
    one_takes_it_from_the_hub(&nodes).await;
    eventually("the hub knows three nodes of the region", || {
        hub.hub
            .status()
            .regions
            .unwrap()
            .first()
            .is_some_and(|region| region.nodes.len() == 3)
    })
    .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_window_has_no_more_comes_from_the_homes_history() {
    let world = World::with(Setup {
        window_bytes: 1 << 20,
        history: WindowLimits {
            revisions: 5,
            ..WindowLimits::UNLIMITED
        },
    })
    .await;
    let hub = world.hub("hub-1").await;
    let way = Forwarder::open(&hub.address).await;
    let node = world.node("eu", "gw-1", &[&way.address]);
    node.settles().await;
    way.cut();
    eventually("the hub is missed", || node.status().hub.is_none()).await;
    world.write_large(150).await;
    world.equals(&hub.replica).await;
    way.mend();
    world.equals(&node.replica).await;
    assert_eq!(node.replica.rebuilt(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_any_more_comes_as_a_snapshot() {
    let world = World::with(Setup {
        window_bytes: 1 << 20,
        history: WindowLimits {
            revisions: 5,
            ..WindowLimits::UNLIMITED
        },
    })
    .await;
    let hub = world.hub("hub-1").await;
    let way = Forwarder::open(&hub.address).await;
    let node = world.node("eu", "gw-1", &[&way.address]);
    node.settles().await;
    way.cut();
    eventually("the hub is missed", || node.status().hub.is_none()).await;
    world.write_large(150).await;
    world.compact().await;
    world.equals(&hub.replica).await;
    way.mend();
    world.equals(&node.replica).await;
    assert_eq!(node.replica.rebuilt(), 1);
    world.write(10).await;
    world.equals(&node.replica).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_cut_off_goes_on_where_it_was() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    world.write_large(160).await;
    world.equals(&hub.replica).await;
    let way = Forwarder::open(&hub.address).await;
    // Ten megabytes that do not compress: it is cut in their middle.
    way.cut_after(5 << 20);
    let node = world.node("eu", "gw-1", &[&way.address]);
    eventually("the way is cut", || way.is_cut()).await;
    world.write(5).await;
    way.mend();
    eventually("the snapshot goes on", || {
        let snapshot = node.status().snapshot;
        snapshot.is_some_and(|snapshot| snapshot.resumed > 0) || node.replica.is_there()
    })
    .await;
    world.equals(&node.replica).await;
    assert_eq!((node.replica.snapshots(), node.replica.rebuilt()), (1, 0));
    // What had arrived did not come again.
    assert!(way.passed() < 16 << 20, "{}", way.passed());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_go_over_to_the_second_hub_and_lose_nothing() {
    let world = World::new().await;
    let (first, second) = (world.hub("hub-1").await, world.hub("hub-2").await);
    let nodes = region(
        &world,
        &[&first.address, &second.address],
        &["gw-1", "gw-2"],
    )
    .await;
    for node in &nodes {
        assert_eq!(node.status().hub.as_deref(), Some("us/hub-1"));
    }
    world.write(20).await;
    first.stop().await;
    world.write(20).await;
    for node in &nodes {
        world.equals(&node.replica).await;
        assert_eq!(node.replica.rebuilt(), 0);
        assert_eq!(node.status().hub.as_deref(), Some("us/hub-2"));
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_restarts_with_an_empty_window_is_gone_on_with() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let way = Forwarder::open(&hub.address).await;
    let node = world.node("eu", "gw-1", &[&way.address]);
    node.settles().await;
    way.cut();
    hub.stop().await;
    world.write(30).await;
    let again = world.hub("hub-1").await;
    way.leads_to(&again.address);
    way.mend();
    world.write(10).await;
    world.equals(&node.replica).await;
    assert_eq!(node.replica.rebuilt(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_refuse_a_node_of_another_region() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let node = world.node("eu", "gw-1", &[&hub.address]);
    node.settles().await;
    let stranger = world.name("ap", "gw-9");
    let tasks = TaskGroup::root("stranger");
    let config = world.pki.issue(&stranger, false);
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    let endpoint = Endpoint::open(Some(listen), &config, &stranger, &tasks).unwrap();
    let there = world.name("eu", "gw-1");
    let link = endpoint
        .connect_node(&node.address(), &there)
        .await
        .unwrap();
    let why = tokio::time::timeout(world::SOON, link.closed())
        .await
        .unwrap();
    assert!(why.to_string().contains("serves its own region"), "{why}");
    tasks.stop(world::SOON).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_of_all_is_asked_of_any_node() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let nodes = region(&world, &[&hub.address], &["gw-1", "gw-2"]).await;
    for node in &nodes {
        let all = node.node.status_all().await.unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|one| (one.node.to_string(), one.answer.clone()))
            .collect();
        let due = ["eu/gw-1", "eu/gw-2", "us/hub-1"]
            .map(|name| (name.to_owned(), Ok(format!("\"{name}\""))));
        assert_eq!(told, due);
    }
    let asking = (0..50).map(|_| nodes[0].node.status_all());
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.into_iter().all(|all| all.unwrap().len() == 3));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_takes_nothing_slows_nobody_and_reads_on_later() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let nodes = region(&world, &[&hub.address], &["gw-1", "gw-2"]).await;
    let slow = world.name("eu", "slow");
    let tasks = TaskGroup::root("slow");
    let mut config = world.pki.issue(&slow, false);
    config.window_bytes = 64 << 10;
    let endpoint = Endpoint::open(None, &config, &slow, &tasks).unwrap();
    let link = endpoint.connect_hub(&hub.address).await.unwrap();
    let (mut send, mut recv) = link.open(Kind::Log).await.unwrap();
    let from = world.revision().await.next();
    let subscribe = wire::Subscribe {
        from: from.get(),
        ..Default::default()
    };
    send.message(&subscribe).await.unwrap();
    let reply: wire::LogReply = recv.message_within(world::SOON).await.unwrap();
    reply.into_result().unwrap();
    world.write_large(60).await;
    for node in &nodes {
        world.equals(&node.replica).await;
    }
    let to = world.revision().await;
    let (mut frames, mut decoder, mut due) = (FrameReader::new(), Decoder::new(), from);
    let reading = async {
        while due <= to {
            frames.push(recv.chunk().await.unwrap().unwrap());
            while let Some(batch) = frames.next().unwrap() {
                for commit in decoder.decode(&batch).unwrap() {
                    assert_eq!(commit.revision, due);
                    due = due.next();
                }
            }
        }
    };
    tokio::time::timeout(world::SOON, reading).await.unwrap();
    tasks.stop(world::SOON).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_come_and_go_leave_no_ghost_at_the_hub() {
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let way = Forwarder::open(&hub.address).await;
    for round in 0..12 {
        let nodes: Vec<Node> = (0..3)
            .map(|n| world.node("eu", &format!("gw-{round}-{n}"), &[&way.address]))
            .collect();
        eventually("they have joined", || {
            let regions = hub.hub.status().regions.unwrap();
            regions
                .first()
                .is_some_and(|region| region.nodes.len() == 3)
        })
        .await;
        for node in nodes {
            node.stop().await;
        }
        eventually("they are gone", || {
            hub.hub.status().regions.unwrap().is_empty()
        })
        .await;
        eventually("their links are gone", || hub.hub.status().peers.is_empty()).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn nothing_warns_at_a_clean_stop() {
    let (lines, _guard) = world::warnings();
    let world = World::new().await;
    let hub = world.hub("hub-1").await;
    let nodes = region(&world, &[&hub.address], &["gw-1", "gw-2", "gw-3"]).await;
    world.write(10).await;
    for node in &nodes {
        world.equals(&node.replica).await;
    }
    for node in nodes {
        node.stop().await;
    }
    hub.stop().await;
    world.stop().await;
    let told = String::from_utf8(lines.lock().clone()).unwrap();
    assert_eq!(told, "");
}
