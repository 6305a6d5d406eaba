//! Goal: the same as `bytes`, with the kernel's own counters instead of ours.
//!
//! Method: the home and its hub in one network namespace, a region in another, a cable between them. The
//! cable's counters tell what a region of one gateway takes, and what one of four does.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    ask,
    link::{Hub, HubPlan, Node, NodePlan},
    namespaces::{Cable, Carried},
    pki::Authority,
    release::Release,
};
use tokio::sync::{mpsc, oneshot};

use crate::alone;

/// Revisions written.
const REVISIONS: u64 = 400;

/// Bytes of each value.
const VALUE_BYTES: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cable_between_two_namespaces_carries_one_copy_for_four_gateways() -> Result<()> {
    let _machine = alone().await;
    let mut taken = Vec::new();
    for gateways in [1, 4] {
        let Some(cable) = Cable::lay()? else {
            return Ok(());
        };
        let (idle, busy) = measure(&cable, gateways).await?;
        let bytes = |carried: &Carried| carried.received_bytes;
        let net = bytes(&busy).saturating_sub(bytes(&idle));
        println!(
            "{gateways} gateways: idle {} B, busy {} B, the log {net} B: {} B per revision of {VALUE_BYTES} B",
            bytes(&idle),
            bytes(&busy),
            net / REVISIONS
        );
        taken.push(net as f64);
    }
    let share = taken[1] / taken[0];
    ensure!(
        (0.7..1.35).contains(&share),
        "four took {share:.2} times what one did"
    );
    Ok(())
}

/// What came over the cable while nothing was written, and for as long while all was.
async fn measure(cable: &Cable, gateways: usize) -> Result<(Carried, Carried)> {
    let dir = tempfile::tempdir()?;
    let at = (dir.path().to_owned(), dir.path().to_owned());
    let (hub_at, listens) = oneshot::channel();
    let (write, writes) = mpsc::channel(1);
    let address = cable.near.address;
    let home = cable
        .near
        .inside(move || home(at.0, address.into(), hub_at, writes));
    let (ready, readied) = oneshot::channel();
    let (leave, left) = oneshot::channel();
    let here = (at.1, cable.far.address.into());
    let region = cable
        .far
        .inside(move || async move { region(here, listens.await?, gateways, ready, left).await });
    let measuring = async {
        readied.await.context("the region is ready")?;
        let start = cable.far.carried()?;
        let (done, written) = oneshot::channel();
        write.send((0, done)).await?;
        written.await?;
        let idle = cable.far.carried()?;
        let (done, written) = oneshot::channel();
        write.send((REVISIONS, done)).await?;
        written.await?;
        let busy = cable.far.carried()?;
        drop((write, leave));
        Ok((idle - start, busy - idle))
    };
    let (measured, home, region) = tokio::join!(measuring, home, region);
    home.and(region)?;
    measured
}

type Order = (u64, oneshot::Sender<()>);

/// The home's side: etcd, its hub, and writes when told.
async fn home(
    dir: std::path::PathBuf,
    address: std::net::IpAddr,
    hub_at: oneshot::Sender<SocketAddr>,
    mut orders: mpsc::Receiver<Order>,
) -> Result<()> {
    let cluster = meridian_tests::cluster::Cluster::single(Release::newest()?).await?;
    let authority = Authority::new(&dir, "link-ca")?;
    std::fs::create_dir(dir.join("home"))?;
    let plan = HubPlan {
        address,
        ..HubPlan::before(cluster.endpoints())
    };
    let hub = Hub::start(&plan, &authority, &dir.join("home")).await?;
    // The region's side issues its own certificates: the authority's key stays in one process, ours.
    let gateways = ["gw-0", "gw-1", "gw-2", "gw-3"];
    for name in gateways {
        authority.issue_node(&meridian_tests::pki::NodeCertificate::of("eu", name))?;
    }
    hub_at.send(hub.listen).ok().context("the region waits")?;
    let client = cluster.connect(0)?;
    while let Some((revisions, done)) = orders.recv().await {
        let mut clock = tokio::time::interval(Duration::from_millis(5));
        for n in 0..REVISIONS {
            clock.tick().await;
            if n < revisions {
                let value: String = std::iter::repeat_with(fastrand::alphanumeric)
                    .take(VALUE_BYTES)
                    .collect();
                client.put(ask::put(format!("load/{n}"), value)).await?;
            }
        }
        // The last of it must have crossed: twice the region's probe interval is more than enough.
        tokio::time::sleep(Duration::from_millis(300)).await;
        // Whoever measures waits for it.
        done.send(()).ok().context("the measure has ended")?;
    }
    Ok(())
}

/// The region's side: gateways without an emulator before them.
async fn region(
    (dir, address): (std::path::PathBuf, std::net::IpAddr),
    hub: SocketAddr,
    gateways: usize,
    ready: oneshot::Sender<()>,
    left: oneshot::Receiver<()>,
) -> Result<()> {
    let authority = Authority::issued(&dir, "link-ca");
    let mut nodes = Vec::new();
    for n in 0..gateways {
        let name = format!("gw-{n}");
        let plan = NodePlan {
            identity: Some(authority.identity("eu", &name)),
            direct: Some(address),
            ..NodePlan::of("eu", &name)
        };
        nodes.push(Node::launch_trusting(&plan, &[hub], &authority.ca, &dir)?);
    }
    for node in &mut nodes {
        node.machine.ready().await?;
    }
    settled(&nodes).await?;
    ready.send(()).ok().context("the measure has ended")?;
    // An error is the same: whoever measures has gone.
    drop(left.await);
    Ok(())
}

async fn settled(nodes: &[Node]) -> Result<()> {
    use meridian_tests::wait::{SOON, eventually};
    eventually(SOON, "one node reads the hub", || async {
        let mut reading = 0;
        for node in nodes {
            let link = node.machine.link().await?;
            link.delegate()?;
            reading += usize::from(link.source()? == "hub");
        }
        ensure!(reading == 1, "{reading} do");
        anyhow::Ok(())
    })
    .await
}
