//! Two gateways before one etcd: what is written through one is read through the other, at the level asked for.

use std::time::Duration;

use anyhow::{Result, ensure};
use meridian_tests::{
    ask,
    client::Client,
    cluster::Cluster,
    expect,
    gateway::{Gateway, GatewayPlan},
    release::Release,
    wait::{SOON, eventually},
    wan::{Wan, Weather},
    watching::{self, Watching},
};

use crate::region::{local, plan};

/// A near gateway, and a far one that hears of every change late.
struct Neighbours {
    near: Client,
    far: Client,
    _gateways: [Gateway; 2],
    wan: Wan,
    _cluster: Cluster,
}

const LATE: Duration = Duration::from_millis(40);

impl Neighbours {
    async fn start() -> Result<Self> {
        let cluster = Cluster::single(Release::newest()?).await?;
        let wan = Wan::start(cluster.address(0)).await?;
        let near = Gateway::start(&GatewayPlan::before(cluster.endpoints())).await?;
        let far = GatewayPlan {
            node: "gw-2".to_owned(),
            region: "us".to_owned(),
            ..plan(&wan, "")
        };
        let far = Gateway::start(&far).await?;
        wan.set(Weather::Delay(LATE));
        Ok(Self {
            near: near.connect()?,
            far: far.connect()?,
            _gateways: [near, far],
            wan,
            _cluster: cluster,
        })
    }
}

#[tokio::test]
async fn a_session_carries_a_write_from_one_gateway_to_the_other() -> Result<()> {
    let neighbours = Neighbours::start().await?;
    let (near, far) = (&neighbours.near, &neighbours.far);
    let mut behind = 0;
    for n in 0..25 {
        let put = near.put(ask::put("k", n.to_string())).await?;
        let at = expect::revision(put.header.as_ref())?;
        // Without the session the far replica may show what it has.
        let bare = far.range(local("k")).await?;
        behind += usize::from(expect::revision(bare.header.as_ref())? < at);
        let session = far.with("meridian-min-revision", &at.to_string())?;
        let answer = session.range(local("k")).await?;
        ensure!(
            expect::revision(answer.header.as_ref())? >= at,
            "behind {at}"
        );
        expect::same("value", &answer.kvs[0].value[..], n.to_string().as_bytes())?;
    }
    ensure!(
        behind > 0,
        "the far gateway was never behind: this proves nothing"
    );
    Ok(())
}

#[tokio::test]
async fn a_linearizable_read_at_one_sees_what_the_other_wrote() -> Result<()> {
    let neighbours = Neighbours::start().await?;
    let ways = [
        (&neighbours.near, &neighbours.far),
        (&neighbours.far, &neighbours.near),
    ];
    for n in 0..10 {
        for (writer, reader) in ways {
            writer.put(ask::put("k", n.to_string())).await?;
            let answer = reader.range(ask::get("k")).await?;
            expect::same("value", &answer.kvs[0].value[..], n.to_string().as_bytes())?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_session_is_refused_when_the_other_side_is_unreachable() -> Result<()> {
    let neighbours = Neighbours::start().await?;
    neighbours.far.range(ask::get("k")).await?;
    neighbours.wan.set(Weather::Blackhole);
    let put = neighbours.near.put(ask::put("k", "v")).await?;
    let at = expect::revision(put.header.as_ref())?;
    let session = neighbours
        .far
        .with("meridian-min-revision", &at.to_string())?;
    ensure!(
        session.range(local("k")).await.is_err(),
        "it answered from before the write"
    );
    // What asks for no such thing is served.
    neighbours.far.range(local("k")).await?;
    neighbours.wan.set(Weather::Clear);
    eventually(SOON, "the session is served again", || {
        session.range(local("k"))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn both_watch_the_same_history() -> Result<()> {
    let neighbours = Neighbours::start().await?;
    let (near, far) = (&neighbours.near, &neighbours.far);
    let prefix = "k".into();
    let (mut here, _) = Watching::start(near, watching::of_prefix(&prefix)).await?;
    let (mut there, _) = Watching::start(far, watching::of_prefix(&prefix)).await?;
    for n in 0..20 {
        let client = if n % 2 == 0 { near } else { far };
        client.put(ask::put(format!("k{n}"), "v")).await?;
    }
    expect::same("events", here.events(20).await?, there.events(20).await?)
}
