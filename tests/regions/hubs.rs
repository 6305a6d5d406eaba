//! Several hubs beside one home: nodes take the first that can be reached, in the order of their files.

use anyhow::{Result, ensure};
use meridian_tests::{
    regions::{Regions, RegionsPlan},
    wait::{SOON, eventually},
    wan::Gate,
};

use crate::alone;

/// The hub that every node is linked to, once all agree and it is `expected`.
async fn all_at(regions: &Regions, expected: usize) -> Result<()> {
    let name = &regions.hubs[expected].machine.name;
    eventually(SOON, &format!("all nodes are linked to {name}"), || async {
        for node in &regions.nodes {
            let link = node.machine.link().await?;
            ensure!(
                link.hub()? == name,
                "{}: {}",
                node.machine.name,
                link.hub()?
            );
        }
        anyhow::Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_take_the_first_hub_that_can_be_reached() -> Result<()> {
    let _machine = alone().await;
    let plan = RegionsPlan::of(&[("eu", 2), ("ap", 1)])?.hubs(2);
    let mut regions = Regions::start(&plan).await?;
    all_at(&regions, 0).await?;
    regions.hubs[0].machine.kill();
    all_at(&regions, 1).await?;
    // A node that starts while the first is away takes the second as well.
    let late = regions.add("ap")?;
    regions.nodes[late].machine.ready().await?;
    all_at(&regions, 1).await?;
    regions.hubs[0].machine.launch()?;
    regions.hubs[0].machine.ready().await?;
    // And when the second cannot be reached, all are back at the first.
    regions
        .nodes
        .iter()
        .for_each(|node| node.wans[1].gate(Gate::Cut));
    all_at(&regions, 0).await?;
    for region in ["eu", "ap"] {
        regions.settled(region).await?;
    }
    Ok(())
}
