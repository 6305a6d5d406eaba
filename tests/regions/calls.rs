//! Calls that cross the link: deadlines and cancellation reach the home, and a call that is cut off in flight
//! has an unknown outcome and is not made again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use meridian_etcd_api::{
    etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse},
    v3lockpb::LockRequest,
};
use meridian_tests::{
    ask,
    client::Client,
    expect,
    regions::{Regions, RegionsPlan},
    wait::{SOON, eventually},
    wan::{Conditions, Gate},
};
use tonic::{Code, Status};

use crate::{STUCK, alone};

/// One region of two, so that a call may come from a member.
async fn world() -> Result<(Regions, Client)> {
    let far = Conditions::half_of(Duration::from_millis(80));
    let regions = Regions::start(&RegionsPlan::of(&[("eu", 2)])?.over(far)).await?;
    regions.settled("eu").await?;
    let member = regions.member("eu").await?;
    let client = regions.nodes[member].connect()?;
    Ok((regions, client))
}

/// What etcd's proxy tells of a call whose connection broke under way.
const CUT_OFF: &str = "etcdserver: request timed out, possibly due to connection lost";

fn is_unknown(status: &Status) -> bool {
    status.code() == Code::Unavailable && status.message() == CUT_OFF
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_hub_dies_under_way_is_not_made_twice() -> Result<()> {
    let _machine = alone().await;
    let (mut regions, client) = world().await?;
    let home = regions.home()?;
    for round in 0..3 {
        let key = format!("once/{round}");
        // The way there is open, the way back shut: the home has the write, and nobody can know.
        for node in &regions.nodes {
            let wan = &node.wans[0];
            wan.set_ways(node.between(), node.between().behind(Gate::Blackhole));
        }
        let (caller, request) = (client.clone(), ask::put(key.clone(), "x"));
        let call = tokio::spawn(async move { caller.put(request).await });
        eventually(SOON, "the home has the write", || async {
            let found = home.range(ask::get(key.clone())).await?;
            ensure!(found.kvs.len() == 1, "not yet");
            anyhow::Ok(())
        })
        .await?;
        regions.hubs[0].machine.kill();
        let killed = Instant::now();
        let status = call.await?.err().context("the put was acknowledged")?;
        println!("told after {:?}: {status:?}", killed.elapsed());
        ensure!(is_unknown(&status), "{status:?}");
        regions
            .nodes
            .iter()
            .for_each(|node| node.wans[0].set(node.between()));
        regions.hubs[0].machine.launch()?;
        regions.hubs[0].machine.ready().await?;
        regions.settled("eu").await?;
        let found = home.range(ask::get(key.clone())).await?;
        let version = found.kvs.first().context("the key")?.version;
        expect::same(&key, version, 1)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_hub_a_call_waits_a_while_and_says_so() -> Result<()> {
    let _machine = alone().await;
    let (mut regions, client) = world().await?;
    regions.hubs[0].machine.kill();
    let member = regions.member("eu").await?;
    eventually(SOON, "the node notices", || async {
        let link = regions.nodes[member].machine.link().await?;
        ensure!(link.at("hub").is_none(), "{link}");
        anyhow::Ok(())
    })
    .await?;
    let asked = Instant::now();
    let refused = client.put(ask::put("never", "x")).await;
    let (took, status) = (
        asked.elapsed(),
        refused.err().context("it was acknowledged")?,
    );
    println!("refused after {took:?}: {status:?}");
    ensure!(status.code() == Code::Unavailable, "{status:?}");
    ensure!(took < Duration::from_secs(8), "{took:?}");
    // What needs no home is served on.
    let local = meridian_etcd_api::etcdserverpb::RangeRequest {
        serializable: true,
        ..ask::get("never")
    };
    client.range(local).await?;
    // A call that waits for a hub finds it when it comes back.
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.put(ask::put("later", "x")).await });
    regions.hubs[0].machine.launch()?;
    regions.hubs[0].machine.ready().await?;
    call.await??;
    let found = regions.home()?.range(ask::get("never")).await?;
    ensure!(found.kvs.is_empty(), "a refused write was made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_is_kept_when_nothing_comes_back() -> Result<()> {
    let _machine = alone().await;
    let (regions, client) = world().await?;
    regions
        .nodes
        .iter()
        .for_each(|node| node.gate_wan(Gate::Blackhole));
    let hurried = client.with("grpc-timeout", "700m")?;
    let asked = Instant::now();
    let status = hurried.put(ask::put("late", "x")).await.err();
    let (took, status) = (asked.elapsed(), status.context("it was acknowledged")?);
    println!("refused after {took:?}: {status:?}");
    // The client's own clock may be the first to strike, and then it says so in its own way.
    let struck = status.code() == Code::Cancelled && status.message() == "Timeout expired";
    ensure!(
        struck || status.code() == Code::DeadlineExceeded || is_unknown(&status),
        "{status:?}"
    );
    ensure!(took < Duration::from_millis(1_500), "{took:?}");
    regions
        .nodes
        .iter()
        .for_each(|node| node.gate_wan(Gate::Open));
    Ok(())
}

async fn waiting(home: &Client) -> Result<usize> {
    Ok(home.range(ask::list(&"mutex/".into())).await?.kvs.len())
}

/// Who waits for a lock and goes away leaves the queue at the home.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_call_is_cancelled_at_the_home() -> Result<()> {
    let _machine = alone().await;
    let (regions, client) = world().await?;
    let home = regions.home()?;
    let mut leases = Vec::new();
    for _ in 0..2 {
        let grant = LeaseGrantRequest { ttl: 600, id: 0 };
        leases.push(client.lease_grant(grant).await?.id);
    }
    let lock = |lease| LockRequest {
        name: "mutex".into(),
        lease,
    };
    let held = client.lock(lock(leases[0])).await?;
    let (caller, second) = (client.clone(), lock(leases[1]));
    let waits = tokio::spawn(async move { caller.lock(second).await });
    eventually(SOON, "the second one waits", || async {
        ensure!(waiting(&home).await? == 2, "not yet");
        anyhow::Ok(())
    })
    .await?;
    waits.abort();
    eventually(SOON, "the second one is gone", || async {
        let left = waiting(&home).await?;
        ensure!(left == 1, "{left} wait");
        anyhow::Ok(())
    })
    .await?;
    let left = home.range(ask::list(&"mutex/".into())).await?;
    let key = &left.kvs.first().context("the holder")?.key;
    expect::same("the holder", key, &held.key)
}

/// A lease is kept alive through the link for longer than it lives, and through the death of a delegate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_kept_alive_through_the_link() -> Result<()> {
    let _machine = alone().await;
    let (mut regions, client) = world().await?;
    let id = client
        .lease_grant(LeaseGrantRequest { ttl: 2, id: 0 })
        .await?
        .id;
    let path = "/etcdserverpb.Lease/LeaseKeepAlive";
    let mut stream = client.converse::<LeaseKeepAliveRequest, LeaseKeepAliveResponse>(path);
    let began = Instant::now();
    let delegate = regions.delegate("eu").await?;
    let mut killed = false;
    while began.elapsed() < Duration::from_secs(5) {
        stream.send(LeaseKeepAliveRequest { id });
        let answer = stream.next_within(STUCK).await?;
        ensure!(answer.ttl == 2, "{answer:?}");
        if !killed && began.elapsed() > Duration::from_secs(2) {
            regions.nodes[delegate].machine.kill();
            killed = true;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    drop(stream);
    eventually(SOON, "the lease ends", || async {
        let home = regions.home()?;
        let leases = home.lease_leases(meridian_etcd_api::etcdserverpb::LeaseLeasesRequest {});
        ensure!(
            leases.await?.leases.iter().all(|lease| lease.id != id),
            "it lives"
        );
        anyhow::Ok(())
    })
    .await
}
