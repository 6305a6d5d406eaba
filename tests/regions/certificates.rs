//! Who is let in: nodes with a certificate of the authority, that has not ended, for the very region and name
//! that they say they have. All others are refused, with a line that says who and why.

use anyhow::{Result, ensure};
use meridian_tests::{
    link::{Node, NodePlan},
    pki::{Authority, Identity, NodeCertificate},
    regions::{Regions, RegionsPlan},
    wait::{SOON, eventually},
};

use crate::alone;

struct Door {
    regions: Regions,
}

impl Door {
    async fn open() -> Result<Self> {
        let regions = Regions::found(&RegionsPlan::of(&[])?).await?;
        Ok(Self { regions })
    }

    /// A node of `eu` that shows this.
    fn knock(&mut self, identity: Identity) -> Result<usize> {
        let plan = NodePlan {
            identity: Some(identity),
            ..self.regions.plan_of("eu")
        };
        self.regions.add_as(&plan)
    }

    fn node(&self, n: usize) -> &Node {
        &self.regions.nodes[n]
    }

    /// The hub says all of this in one line, and the node is not served.
    async fn refuses(&self, n: usize, words: &[&str]) -> Result<()> {
        let hub = &self.regions.hubs[0].machine;
        said("the hub", || hub.log(), words).await?;
        let ready = meridian_tests::plain_http::get(self.node(n).machine.admin, "/readyz").await?;
        ensure!(!ready.status.is_success(), "the node is ready");
        Ok(())
    }
}

/// Waits until a line of a log holds all these words.
async fn said(who: &str, log: impl Fn() -> String, words: &[&str]) -> Result<()> {
    let what = format!("{who} says {words:?}");
    eventually(SOON, &what, || {
        let log = log();
        let has_all = |line: &str| words.iter().all(|word| line.contains(word));
        let found = log.lines().any(has_all);
        let tail: Vec<String> = log.lines().rev().take(8).map(str::to_owned).collect();
        std::future::ready(if found { Ok(()) } else { Err(tail.join("\n")) })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_authority_is_refused() -> Result<()> {
    let _machine = alone().await;
    let mut door = Door::open().await?;
    let stranger = Authority::new(door.regions.dir(), "stranger")?;
    let identity = stranger.issue_node(&NodeCertificate::of("eu", "gw-0"))?;
    let node = door.knock(identity)?;
    door.refuses(node, &["meridian://eu/gw-0", "unknown authority"])
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused() -> Result<()> {
    let _machine = alone().await;
    let mut door = Door::open().await?;
    let old = NodeCertificate {
        ends: Some(2020),
        ..NodeCertificate::of("eu", "gw-0")
    };
    let identity = door.regions.authority.issue_node(&old)?;
    let node = door.knock(identity)?;
    door.refuses(node, &["meridian://eu/gw-0", "expired", "2020-01-01"])
        .await
}

/// A node whose configuration says another region than its certificate does not even start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cannot_claim_another_region() -> Result<()> {
    let _machine = alone().await;
    let mut door = Door::open().await?;
    let other = NodeCertificate::of("ap", "gw-0");
    let identity = door.regions.authority.issue_node(&other)?;
    let node = door.knock(identity)?;
    eventually(SOON, "the node ends", || {
        let ended = door.regions.nodes[node].machine.has_ended();
        std::future::ready(if ended { Ok(()) } else { Err("it runs") })
    })
    .await?;
    let log = door.node(node).machine.log();
    ensure!(
        log.contains("ap/gw-0") && log.contains("eu/gw-0"),
        "it does not say who is who: {log}"
    );
    Ok(())
}

/// A hub whose certificate does not make it one is left alone by nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_take_a_hub_of_another_authority_for_one() -> Result<()> {
    let _machine = alone().await;
    let mut door = Door::open().await?;
    let node = door.regions.add("eu")?;
    door.regions.nodes[node].machine.ready().await?;
    // The same files, of another authority now: what the node trusts is read again.
    let ca = door.regions.authority.file();
    let trusted = std::fs::read(&ca)?;
    let stranger = Authority::new(door.regions.dir(), "stranger")?;
    std::fs::copy(stranger.file(), &ca)?;
    let late = door.regions.add("eu")?;
    said(
        "the late node",
        || door.node(late).machine.log(),
        &["us/hub-0", "unknown authority"],
    )
    .await?;
    // And once it is trusted, all is well without a restart.
    std::fs::write(&ca, trusted)?;
    door.regions.nodes[late].machine.ready().await
}
