//! Goal: whatever happens to a delegate or a hub, the first revision after it is there within two seconds,
//! at a round trip of 220 ms.
//!
//! Method: one fault at a time; from its very moment on until each watcher that it does not silence has seen
//! a revision that the home committed after it. All watchers must have seen all at the end.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    regions::{Follower, Regions, RegionsPlan, Writers},
    wan::{Conditions, Gate, Weather},
};

use crate::{STUCK, alone, follow, judge, mark};

/// What is promised.
const LATE: Duration = Duration::from_secs(2);

const WRITES_PER_SECOND: u32 = 50;

/// What a fault did.
struct Made {
    /// Nodes that it silences itself.
    silenced: Vec<usize>,
    /// From when on the time counts, if not from its beginning.
    since: Option<Instant>,
}

type Making<'a> = Pin<Box<dyn Future<Output = Result<Made>> + 'a>>;

type Fault = for<'a> fn(&'a mut Regions) -> Making<'a>;

/// All nodes must go on.
fn silencing_none() -> Result<Made> {
    Ok(Made {
        silenced: Vec::new(),
        since: None,
    })
}

/// All but this one must go on.
fn silencing(node: usize) -> Result<Made> {
    Ok(Made {
        silenced: vec![node],
        since: None,
    })
}

/// All must go on from now on: before, none could.
fn from_now_on() -> Result<Made> {
    Ok(Made {
        silenced: Vec::new(),
        since: Some(Instant::now()),
    })
}

struct World {
    regions: Regions,
    followers: Vec<Follower>,
    from: i64,
    load: Writers,
}

impl World {
    async fn start(hubs: usize) -> Result<Self> {
        let far = Conditions::half_of(Duration::from_millis(220));
        let plan = RegionsPlan::of(&[("eu", 3), ("ap", 1)])?
            .hubs(hubs)
            .over(far);
        let regions = Regions::start(&plan).await?;
        for region in ["eu", "ap"] {
            regions.settled(region).await?;
        }
        let (followers, from) = follow(&regions).await?;
        let load = Writers::start(&regions.cluster.endpoints(), WRITES_PER_SECOND, 5)?;
        Ok(Self {
            regions,
            followers,
            from,
            load,
        })
    }

    /// Makes a fault, and waits for a revision after it at every node that is not silenced; how long that
    /// took at the slowest.
    async fn after(&mut self, what: &str, fault: Fault) -> Result<Duration> {
        let began = Instant::now();
        let Made { silenced, since } = fault(&mut self.regions).await?;
        let since = since.unwrap_or(began);
        let revision = mark(&self.regions).await?;
        let mut slowest = Duration::ZERO;
        for (n, follower) in self.followers.iter().enumerate() {
            if !silenced.contains(&n) {
                let seen = follower.sees(revision, STUCK).await;
                let seen = seen.with_context(|| format!("{what}\n{}", self.regions.log_tails()))?;
                slowest = slowest.max(seen - since);
            }
        }
        println!("{what}: {} ms", slowest.as_millis());
        Ok(slowest)
    }

    async fn end(self) -> Result<()> {
        self.load.end().await?;
        judge(&self.regions, self.followers, self.from).await?;
        Ok(())
    }
}

fn prompt(times: &[(&str, Duration)]) -> Result<()> {
    let late: Vec<_> = times.iter().filter(|(_, time)| *time > LATE).collect();
    ensure!(late.is_empty(), "later than {LATE:?}: {late:?}");
    Ok(())
}

/// Runs faults of one world one after the other, each followed by its remedy.
async fn all(hubs: usize, faults: &[(&'static str, Fault, Fault)]) -> Result<()> {
    let _machine = alone().await;
    let (mut world, mut times) = (World::start(hubs).await?, Vec::new());
    for (what, fault, remedy) in faults {
        times.push((*what, world.after(what, *fault).await?));
        world.after("  and it is over", *remedy).await?;
        for region in ["eu", "ap"] {
            world.regions.settled(region).await?;
        }
    }
    world.end().await?;
    prompt(&times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_gets_over_its_delegate_within_two_seconds() -> Result<()> {
    all(
        1,
        &[
            ("the delegate is killed", kill_delegate, revive),
            ("the delegate is frozen", freeze_delegate, thaw),
            ("the delegate is told to stop", stop_delegate, revive),
            ("the delegate's way is slow", slow_delegate, quick),
            ("the delegate is cut off the WAN", cut_delegate, mend),
            ("its members do not hear the delegate", deafen, mend),
            ("one member does not hear the delegate", part, rejoin),
        ],
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_get_over_a_hub_within_two_seconds() -> Result<()> {
    all(
        2,
        &[
            ("the first hub is killed", kill_hub, revive),
            ("the hub in use is frozen", freeze_hub, thaw),
            ("every way to the first hub is cut", cut_hub, mend),
        ],
    )
    .await
}

/// The only hub is away; what counts is how soon all goes on once it is there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regions_go_on_within_two_seconds_of_the_only_hubs_return() -> Result<()> {
    all(
        1,
        &[
            ("the hub was restarted", restart_hub, nothing),
            ("the hub was frozen for a second", hold_hub, nothing),
            ("the hub was frozen for six seconds", hold_hub_long, nothing),
            ("the WAN was cut for six seconds", cut_all, nothing),
        ],
    )
    .await
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident($regions:ident) $body:block)*) => {$(
        $(#[$doc])*
        fn $name($regions: &mut Regions) -> Making<'_> {
            Box::pin(async move { $body })
        }
    )*};
}

faults! {
    nothing(_regions) { silencing_none() }

    kill_delegate(regions) {
        let delegate = regions.delegate("eu").await?;
        regions.nodes[delegate].machine.kill();
        silencing(delegate)
    }

    stop_delegate(regions) {
        let delegate = regions.delegate("eu").await?;
        regions.nodes[delegate].machine.terminate()?;
        silencing(delegate)
    }

    freeze_delegate(regions) {
        let delegate = regions.delegate("eu").await?;
        regions.nodes[delegate].machine.freeze()?;
        silencing(delegate)
    }

    /// Its own way brings 3 kB/s; what the load needs is three times that.
    slow_delegate(regions) {
        let delegate = regions.delegate("eu").await?;
        let node = &regions.nodes[delegate];
        let slow = Conditions { bytes_per_second: Some(3_000), ..node.between() };
        node.wans.iter().for_each(|wan| wan.set_ways(node.between(), slow));
        silencing(delegate)
    }

    cut_delegate(regions) {
        let delegate = regions.delegate("eu").await?;
        regions.nodes[delegate].gate_wan(Gate::Cut);
        silencing(delegate)
    }

    deafen(regions) {
        let delegate = regions.delegate("eu").await?;
        regions.nodes[delegate].lan.gate(Gate::Cut);
        silencing_none()
    }

    part(regions) {
        let delegate = regions.delegate("eu").await?;
        regions.part(delegate, regions.member("eu").await?);
        silencing_none()
    }

    rejoin(regions) {
        for node in &regions.nodes {
            for other in &regions.nodes {
                node.lan.rejoin(other.listen);
            }
        }
        silencing_none()
    }

    /// Whoever was killed is back.
    revive(regions) {
        for n in 0..regions.nodes.len() {
            regions.nodes[n].machine.stopped().await?;
            regions.nodes[n].machine.launch()?;
        }
        for n in 0..regions.hubs.len() {
            regions.hubs[n].machine.launch()?;
            regions.hubs[n].machine.ready().await?;
        }
        regions.ready().await?;
        from_now_on()
    }

    thaw(regions) {
        for node in &regions.nodes {
            node.machine.thaw()?;
        }
        for hub in &regions.hubs {
            hub.machine.thaw()?;
        }
        silencing_none()
    }

    quick(regions) {
        for node in &regions.nodes {
            node.wans.iter().for_each(|wan| wan.set(node.between()));
        }
        silencing_none()
    }

    mend(regions) {
        for node in &regions.nodes {
            node.gate_wan(Gate::Open);
            node.lan.set(Weather::Clear);
        }
        silencing_none()
    }

    kill_hub(regions) {
        let hub = in_use(regions).await?;
        regions.hubs[hub].machine.kill();
        silencing_none()
    }

    freeze_hub(regions) {
        let hub = in_use(regions).await?;
        regions.hubs[hub].machine.freeze()?;
        silencing_none()
    }

    cut_hub(regions) {
        let hub = in_use(regions).await?;
        for node in &regions.nodes {
            node.wans[hub].gate(Gate::Cut);
        }
        silencing_none()
    }

    restart_hub(regions) {
        regions.hubs[0].machine.kill();
        regions.hubs[0].machine.launch()?;
        regions.hubs[0].machine.ready().await?;
        from_now_on()
    }

    hold_hub(regions) {
        regions.hubs[0].machine.freeze()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        regions.hubs[0].machine.thaw()?;
        from_now_on()
    }

    hold_hub_long(regions) {
        regions.hubs[0].machine.freeze()?;
        tokio::time::sleep(Duration::from_secs(6)).await;
        regions.hubs[0].machine.thaw()?;
        from_now_on()
    }

    cut_all(regions) {
        regions.nodes.iter().for_each(|node| node.gate_wan(Gate::Cut));
        tokio::time::sleep(Duration::from_secs(6)).await;
        regions.nodes.iter().for_each(|node| node.gate_wan(Gate::Open));
        from_now_on()
    }
}

/// The hub that `ap` is linked to.
async fn in_use(regions: &Regions) -> Result<usize> {
    let lone = *regions.of("ap").first().context("a node of ap")?;
    let link = regions.nodes[lone].machine.link().await?;
    let hub = link.hub()?;
    let found = regions.hubs.iter().position(|h| h.machine.name == hub);
    found.with_context(|| format!("{hub} is no hub"))
}
