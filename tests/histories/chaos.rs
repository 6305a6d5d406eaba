//! The trouble: one kind after the other, beginning with the one the seed says, until time is up.

use std::time::{Duration, Instant};

use anyhow::Result;
use meridian_tests::wait::{SOON, eventually};

use crate::World;

/// How long a member stays away: longer than an election of 0.5 s.
const AWAY: Duration = Duration::from_millis(1_200);

/// Makes trouble for this long; all are well again at the end.
pub(crate) async fn make(world: &World, time: Duration) -> Result<()> {
    let freezes_leader = std::env::var_os("MERIDIAN_FREEZE_LEADER").is_some();
    let (started, first) = (Instant::now(), world.seed % 5);
    let mut round = 0;
    while started.elapsed() < time {
        match (first + round) % 5 {
            0 => kill_leader(world).await?,
            1 => restart_gateway(world, 0).await?,
            2 => freeze(world, freezes_leader).await?,
            3 => restart_gateway(world, 1).await?,
            _ => freeze_gateway(world).await?,
        }
        round += 1;
        // Some quiet, in which clients get going again.
        tokio::time::sleep(AWAY).await;
    }
    println!("{round} troubles in {:?}", started.elapsed());
    Ok(())
}

async fn kill_leader(world: &World) -> Result<()> {
    let mut cluster = world.cluster.lock().await;
    let leader = cluster.leader().await?;
    cluster.kill(leader);
    tokio::time::sleep(AWAY).await;
    cluster.restart(leader)?;
    cluster.recovered(leader).await
}

async fn freeze(world: &World, leader_too: bool) -> Result<()> {
    let cluster = world.cluster.lock().await;
    let leader = cluster.leader().await?;
    let member = if leader_too {
        leader
    } else {
        (leader + 1) % cluster.size()
    };
    cluster.pause(member)?;
    tokio::time::sleep(AWAY).await;
    cluster.resume(member)
}

async fn freeze_gateway(world: &World) -> Result<()> {
    use rustix::process::Signal;
    let mut gateway = world.gateways[0].lock().await;
    gateway.process().signal(Signal::STOP)?;
    tokio::time::sleep(AWAY).await;
    gateway.process().signal(Signal::CONT)
}

async fn restart_gateway(world: &World, n: usize) -> Result<()> {
    let mut gateway = world.gateways[n].lock().await;
    gateway.restart()?;
    let gateway = &mut *gateway;
    eventually(SOON, "the gateway is back", || {
        let ended = gateway.process().ended().ok().flatten().is_some();
        let admin = gateway.admin;
        async move {
            anyhow::ensure!(!ended, "it ended");
            let answer = meridian_tests::plain_http::get(admin, "/readyz").await?;
            anyhow::ensure!(answer.status.is_success(), "{}", answer.status);
            Ok(())
        }
    })
    .await
}
