//! A gateway with TLS on both sides: its clients and its home want certificates, and get them.

use std::path::Path;

use anyhow::{Result, ensure};
use meridian_tests::{
    ask,
    client::Client,
    cluster::{Cluster, ClusterPlan, ClusterTls},
    expect,
    gateway::{Gateway, GatewayPlan},
    pki::{Authority, Identity},
    release::Release,
    wait::{SOON, eventually},
    watching::{self, Watching},
};
use tempfile::TempDir;
use tonic::Code;

use crate::region::local;

/// Two worlds that do not trust each other: that of the home, and that of the gateway's clients.
struct World {
    home: Authority,
    door: Authority,
    cluster: Cluster,
    dir: TempDir,
}

impl World {
    async fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let home = Authority::new(dir.path(), "home-ca")?;
        let door = Authority::new(dir.path(), "door-ca")?;
        let tls = ClusterTls {
            ca: home.file(),
            server: home.issue("member")?,
            client: home.issue("test")?,
        };
        let plan = ClusterPlan {
            tls: Some(tls),
            ..ClusterPlan::new(Release::newest()?, 1)
        };
        let cluster = Cluster::start(&plan).await?;
        Ok(Self {
            home,
            door,
            cluster,
            dir,
        })
    }

    /// A gateway that trusts the home by `ca` and shows it `identity`.
    fn plan(&self, ca: &Path, identity: &Identity) -> Result<GatewayPlan> {
        let server = self.door.issue("server")?;
        let tables = format!(
            "[home.tls]\nca = {ca:?}\ncert = {:?}\nkey = {:?}\n\n\
             [gateway.etcd.tls]\ncert = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
            identity.cert,
            identity.key,
            server.cert,
            server.key,
            self.door.file(),
        );
        Ok(GatewayPlan {
            tables,
            ..GatewayPlan::before(self.cluster.endpoints())
        })
    }
}

fn url(gateway: &Gateway) -> String {
    format!("https://{}", gateway.client)
}

#[tokio::test]
async fn with_the_right_certificates_all_is_as_without() -> Result<()> {
    let world = World::start().await?;
    let plan = world.plan(&world.home.file(), &world.home.issue("gateway")?)?;
    let gateway = Gateway::start(&plan).await?;
    let own = world.door.issue("client")?;
    let client = Client::connect_tls(&url(&gateway), &world.door.file(), Some(&own))?;
    let (mut seeing, _) = Watching::start(&client, watching::of_key("k")).await?;
    client.put(ask::put("k", "v")).await?;
    expect::same("count", client.range(ask::get("k")).await?.count, 1)?;
    seeing.events(1).await?;
    expect::same("local count", client.range(local("k")).await?.count, 1)?;
    expect::same(
        "at the home",
        world.cluster.connect(0)?.range(ask::get("k")).await?.count,
        1,
    )?;
    let members = client
        .member_list(meridian_etcd_api::etcdserverpb::MemberListRequest::default())
        .await?
        .members;
    expect::same(
        "its own URL",
        &members[0].client_ur_ls,
        &vec![url(&gateway)],
    )
}

#[tokio::test]
async fn clients_without_the_right_certificate_get_nothing() -> Result<()> {
    let world = World::start().await?;
    let plan = world.plan(&world.home.file(), &world.home.issue("gateway")?)?;
    let gateway = Gateway::start(&plan).await?;
    let (url, ca) = (url(&gateway), world.door.file());
    let strangers = Authority::new(world.dir.path(), "strangers")?;
    let (own, strange) = (world.door.issue("client")?, strangers.issue("client")?);
    let refused = [
        ("no certificate", Client::connect_tls(&url, &ca, None)?),
        (
            "a certificate of another authority",
            Client::connect_tls(&url, &ca, Some(&strange))?,
        ),
        (
            "one that the home would take",
            Client::connect_tls(&url, &ca, Some(&world.home.issue("stray")?))?,
        ),
        (
            "a client that trusts another authority",
            Client::connect_tls(&url, &strangers.file(), Some(&own))?,
        ),
        ("no TLS at all", Client::connect(&gateway.endpoint())?),
    ];
    for (who, client) in refused {
        for request in [ask::get("k"), local("k")] {
            let answer = client.range(request).await;
            ensure!(answer.is_err(), "{who} was answered");
        }
    }
    // They have spoilt nothing for others.
    let client = Client::connect_tls(&url, &ca, Some(&own))?;
    client.put(ask::put("k", "v")).await?;
    Ok(())
}

#[tokio::test]
async fn a_home_that_is_not_trusted_or_does_not_trust_is_told() -> Result<()> {
    let world = World::start().await?;
    let strangers = Authority::new(world.dir.path(), "strangers")?;
    let cases = [
        // The home's certificate is of an authority we were not told of.
        world.plan(&strangers.file(), &world.home.issue("gateway")?)?,
        // Ours is of one that the home was not told of.
        world.plan(&world.home.file(), &strangers.issue("gateway")?)?,
    ];
    let own = world.door.issue("client")?;
    for plan in cases {
        let gateway = Gateway::launch(&plan)?;
        let admin = format!("http://{}", gateway.admin);
        eventually(SOON, "the status tells it", || async {
            let answer = meridian_tests::plain_http::get(gateway.admin, "/status.json").await?;
            let home = answer.json()?["home"]["endpoints"][0].clone();
            let told = home["healthy"] == false && home["last_error"].is_string();
            ensure!(told, "{admin} says {home}");
            anyhow::Ok(())
        })
        .await?;
        let client = Client::connect_tls(&url(&gateway), &world.door.file(), Some(&own))?;
        for request in [ask::get("k"), local("k")] {
            expect::refused_with(client.range(request).await, Code::Unavailable, |_| true)?;
        }
    }
    expect::same(
        "writes at the home",
        world.cluster.connect(0)?.range(ask::get("k")).await?.count,
        0,
    )
}
