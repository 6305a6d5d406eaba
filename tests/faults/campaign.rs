//! One fault after the other, drawn from the seed, with the time each costs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use meridian_tests::{
    campaign::Campaign as Told,
    regions::{Follower, Regions, Writers},
};

use crate::{
    STUCK,
    fault::{Fault, Mends},
    figures::Figures,
};

/// One fault in so many begins while another lasts; neither is timed then.
const DOUBLE_OF: u8 = 5;

/// After so many faults it is looked whether every region is back to its copy over the WAN.
const LOOKS_EVERY: u64 = 10;

/// How many faults there were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) faults: u64,
}

/// The trouble-maker.
#[derive(Debug)]
pub(crate) struct Campaign<'a> {
    regions: &'a mut Regions,
    followers: Arc<Vec<Follower>>,
    chances: fastrand::Rng,
    figures: Figures,
}

impl<'a> Campaign<'a> {
    pub(crate) fn new(regions: &'a mut Regions, followers: &Arc<Vec<Follower>>, seed: u64) -> Self {
        Self {
            regions,
            followers: followers.clone(),
            chances: fastrand::Rng::with_seed(seed),
            figures: Figures::default(),
        }
    }

    pub(crate) fn into_figures(self) -> Figures {
        self.figures
    }

    /// Makes trouble until the time or the number is over; all are well again at the end.
    pub(crate) async fn run(&mut self, started: Instant, told: Told, most: u64) -> Result<Ended> {
        let mut faults = 0;
        while faults < most && !told.is_over(started) {
            faults += self.round(faults).await?;
            if faults % LOOKS_EVERY == 0 {
                self.few_copies().await?;
            }
        }
        self.few_copies().await?;
        Ok(Ended { faults })
    }

    async fn few_copies(&self) -> Result<()> {
        for region in ["eu", "ap", "sa"] {
            self.regions.takes_few_copies(region).await?;
        }
        Ok(())
    }

    async fn round(&mut self, number: u64) -> Result<u64> {
        let mut delegates = Vec::new();
        for region in ["eu", "ap", "sa"] {
            delegates.push(self.regions.delegate(region).await?);
        }
        let fault = self.draw(&delegates).await?;
        let kind = fault.kind(&delegates);
        if self.chances.u8(..DOUBLE_OF) == 0 {
            let other = self.draw(&delegates).await?;
            if fault.goes_with(&other) {
                println!("{number}: {kind} {fault:?} and {other:?}");
                self.two(fault, other)
                    .await
                    .with_context(|| format!("{fault:?} and {other:?}"))?;
                return Ok(2);
            }
        }
        println!("{number}: {kind} {fault:?}");
        self.one(fault, &kind)
            .await
            .with_context(|| format!("{kind}: {fault:?}"))?;
        Ok(1)
    }

    async fn draw(&mut self, delegates: &[usize]) -> Result<Fault> {
        let node = self.chances.usize(..self.regions.nodes.len());
        let hub = self.chances.usize(..self.regions.hubs.len());
        let delegate = delegates[self.chances.usize(..delegates.len())];
        // The first two regions have members.
        let with_members = delegates[self.chances.usize(..2)];
        Ok(match self.chances.u8(..16) {
            0 => Fault::KillHub(hub),
            1 => Fault::FreezeHub(hub),
            2..4 => Fault::KillNode(delegate),
            4..6 => Fault::FreezeNode(delegate),
            6 => Fault::KillNode(node),
            7 => Fault::FreezeNode(node),
            8 => Fault::CutNode(delegate),
            9 => Fault::CutNode(node),
            10..12 => Fault::CutPair(node, hub),
            12 => self.parted(with_members)?,
            13 => Fault::CutDelegate(with_members),
            14 => Fault::KillEtcd(self.regions.cluster.leader().await?),
            _ => Fault::FreezeEtcd(self.regions.cluster.leader().await?),
        })
    }

    fn parted(&mut self, delegate: usize) -> Result<Fault> {
        let region = self.regions.nodes[delegate].region.clone();
        let mut members = self.regions.of(&region);
        members.retain(|n| *n != delegate);
        let member = self.chances.choice(members).context("a member")?;
        Ok(Fault::PartNodes(delegate, member))
    }

    async fn one(&mut self, fault: Fault, kind: &str) -> Result<()> {
        let since = Instant::now();
        fault.begin(self.regions)?;
        if fault.mends() == Mends::Meanwhile {
            let victim = fault.victim();
            self.first_revision(since, kind, |n| Some(n) != victim)
                .await?;
        }
        self.last().await;
        fault.end(self.regions).await?;
        let since = Instant::now();
        let kind = format!("{kind}, over");
        self.first_revision(since, &kind, |_| true).await
    }

    async fn two(&mut self, fault: Fault, other: Fault) -> Result<()> {
        fault.begin(self.regions)?;
        self.last().await;
        other.begin(self.regions)?;
        self.last().await;
        fault.end(self.regions).await?;
        other.end(self.regions).await?;
        let revision = Writers::mark(&self.regions.cluster.endpoints()).await?;
        for follower in self.followers.iter() {
            follower.sees(revision, STUCK).await?;
        }
        Ok(())
    }

    /// Lets a fault last for a while.
    async fn last(&mut self) {
        let millis = self.chances.u64(100..1_200);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// The home commits a revision; when it has reached these nodes is noted, counted from `since`, or from
    /// when the home had it: how long the home is away itself is not for the link to answer.
    async fn first_revision(
        &mut self,
        since: Instant,
        kind: &str,
        who: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let revision = Writers::mark(&self.regions.cluster.endpoints()).await?;
        let home_was_away = kind.starts_with("etcd");
        let since = if home_was_away { Instant::now() } else { since };
        let awaited = self.followers.iter().enumerate().filter(|(n, _)| who(*n));
        let awaited = awaited.map(|(_, follower)| async {
            let seen = follower.sees(revision, STUCK).await?;
            anyhow::Ok((follower.name.as_str(), seen))
        });
        for seen in futures_util::future::join_all(awaited).await {
            let (name, at) = seen?;
            self.figures
                .note(kind, name, at.saturating_duration_since(since));
        }
        let failed = self.followers.iter().find(|follower| follower.has_failed());
        ensure!(failed.is_none(), "a watcher has ended: {failed:?}");
        Ok(())
    }
}
