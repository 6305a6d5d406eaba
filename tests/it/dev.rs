//! `meridian dev`: two regions in one process, and a home that forgets nothing it has acknowledged.

use std::{
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use meridian_tests::{
    ask,
    client::Client,
    expect,
    gateway::{self, Dev},
    wait::{SOON, eventually},
    watching::{self, Watching},
};

use crate::region::local;

fn connect(address: std::net::SocketAddr) -> Result<Client> {
    Client::connect(&format!("http://{address}"))
}

#[tokio::test]
async fn acknowledged_writes_survive_a_kill() -> Result<()> {
    let mut dev = Dev::start(Duration::from_millis(5)).await?;
    let mut acknowledged = 0;
    for round in 0..3 {
        let client = connect(dev.us)?;
        let lease = client.lease_grant(ask::lease(500)).await?.id;
        for n in 0..100 {
            let put = meridian_etcd_api::etcdserverpb::PutRequest {
                lease,
                ..ask::put(format!("k{round}/{n}"), "v")
            };
            acknowledged = expect::revision(client.put(put).await?.header.as_ref())?;
        }
        dev.restart()?;
        dev.serves().await?;
        let client = connect(dev.us)?;
        let answer = client.range(ask::list(&"k".into())).await?;
        expect::same("keys", answer.count, 100 * (round + 1))?;
        ensure!(
            expect::revision(answer.header.as_ref())? >= acknowledged,
            "the revision went back"
        );
        expect::same(
            "lease",
            answer.kvs.iter().filter(|kv| kv.lease == lease).count(),
            100,
        )?;
        let left =
            client.lease_time_to_live(meridian_etcd_api::etcdserverpb::LeaseTimeToLiveRequest {
                id: lease,
                keys: true,
            });
        expect::same("keys of the lease", left.await?.keys.len(), 100)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_far_region_reads_at_once_and_writes_in_a_round_trip() -> Result<()> {
    let dev = Dev::start(Duration::from_millis(120)).await?;
    let (us, eu) = (connect(dev.us)?, connect(dev.eu)?);
    us.put(ask::put("k", "v")).await?;
    eventually(SOON, "the far region has it", || async {
        ensure!(eu.range(local("k")).await?.count == 1, "not yet");
        anyhow::Ok(())
    })
    .await?;
    let started = Instant::now();
    for _ in 0..20 {
        eu.range(local("k")).await?;
    }
    ensure!(
        started.elapsed() < Duration::from_millis(100),
        "20 local reads took {:?}",
        started.elapsed()
    );
    let started = Instant::now();
    eu.put(ask::put("k", "w")).await?;
    let taken = started.elapsed();
    ensure!(
        taken >= Duration::from_millis(115),
        "a write took only {taken:?} of 120 ms"
    );
    let (mut seeing, _) = Watching::start(&us, watching::of_key("k")).await?;
    eu.put(ask::put("k", "x")).await?;
    seeing.events(1).await.map(drop)
}

#[test]
fn a_busy_port_is_one_clear_line() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let dir = tempfile::tempdir()?;
    let dir = dir.path().display().to_string();
    let out = Command::new(gateway::binary())
        .args([
            "dev",
            "--dir",
            &dir,
            "--us-listen",
            &address,
            "--eu-listen",
            "127.0.0.1:0",
        ])
        .output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    ensure!(
        !out.status.success() && text.contains(&address) && text.lines().count() <= 2,
        "{text}"
    );
    Ok(())
}

#[test]
fn an_unwritable_folder_is_one_clear_line() -> Result<()> {
    let dir = "/proc/meridian-cannot-be-here";
    let out = Command::new(gateway::binary())
        .args([
            "dev",
            "--dir",
            dir,
            "--us-listen",
            "127.0.0.1:0",
            "--eu-listen",
            "127.0.0.1:0",
        ])
        .output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    ensure!(
        !out.status.success() && text.contains(dir) && text.lines().count() <= 2,
        "{text}"
    );
    Ok(())
}
