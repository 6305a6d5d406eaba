//! `meridian dev`: an embedded home and two regions in one process, to try things out.
//!
//! `us` stands beside the home; `eu` has a long way to it. Everything listens on 127.0.0.1 unless
//! told otherwise. Order of start: ports, home, gateways; of stop: doors, engines, home, admin.

mod links;
mod live;
mod page;
mod path;
mod region;

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use meridian_conf::LogFormat;
use meridian_home::{
    Home,
    embedded::{EmbeddedConfig, EmbeddedHome},
};
use meridian_runtime::{TaskGroup, telemetry::Metrics};

use crate::{
    Outcome, logging, runtime,
    signals::Signals,
    wire::{self, ROOM_STOP, all_ended},
};
use links::Links;
use live::Live;
use region::{Region, RegionPlan, RegionPorts};

/// Development calls are short; a stop should be too.
const DRAIN: Duration = Duration::from_secs(5);

/// The home's writer finishes its last batch: one sync of a disk.
const HOME_STOP: Duration = Duration::from_secs(10);

/// What the runtime's own threads get after everything has stopped.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Half a minute is farther than the moon and back ten times; more is a slip of the unit.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(30);

/// The bounds of `gateway.etcd.progress_notify_interval`: the least is that of etcd's own flag.
const PROGRESS_MIN: Duration = Duration::from_millis(100);
const PROGRESS_MAX: Duration = Duration::from_secs(86_400);

/// Options of `dev`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  meridian dev
  meridian dev --rtt 250ms --dir /tmp/two-regions
  meridian dev --us-listen 127.0.0.1:22379     if an etcd holds 2379

Then, in another terminal:
  etcdctl --endpoints=127.0.0.1:2379 put greeting hello
  etcdctl --endpoints=127.0.0.1:12379 get greeting

MERIDIAN_LOG sets the log level; only warnings are shown by default.")]
pub(crate) struct Options {
    /// Where the embedded home keeps its data
    #[arg(long, value_name = "DIR", default_value = ".meridian/dev")]
    dir: PathBuf,
    /// The round trip between eu and the home
    #[arg(long, value_name = "TIME", default_value = "80ms", value_parser = round_trip)]
    rtt: Duration,
    /// How often a quiet watch created with progress_notify is told how far it has come
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = progress_interval)]
    progress_notify_interval: Duration,
    #[command(flatten)]
    ports: RegionPorts,
}

fn round_trip(text: &str) -> Result<Duration, String> {
    let right = "give a time up to 30s, as in 80ms";
    let time = humantime::parse_duration(text).map_err(|_| right.to_owned())?;
    if time > ROUND_TRIP_MAX {
        Err(right.to_owned())
    } else {
        Ok(time)
    }
}

fn progress_interval(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| (PROGRESS_MIN..=PROGRESS_MAX).contains(time))
        .ok_or_else(|| "give a time from 100ms to 1day, as in 10m".to_owned())
}

pub(crate) fn execute(options: Options) -> Result<Outcome> {
    let live = Live::open();
    logging::install_to(LogFormat::Text, "warn", live.beside())?;
    let runtime = runtime().context("start the runtime")?;
    let outcome = runtime.block_on(run(options, live));
    runtime.shutdown_timeout(LAST_THREADS);
    outcome
}

async fn run(options: Options, mut live: Live) -> Result<Outcome> {
    let Options {
        dir,
        rtt,
        progress_notify_interval,
        ports,
    } = options;
    let mut signals = Signals::listen()?;
    let [us, eu] = ports.open()?;
    let root = TaskGroup::root("dev");
    let metrics = Metrics::install("dev", "dev")?;
    wire::describe_metrics();
    metrics.start_upkeep(&root);

    let upstream = root.child("home");
    let home = open_home(dir.clone(), us.client_url()?, &upstream).await?;
    let links = root.child("links");
    let making = Links::found(&dir, links.clone())?;
    let us_way = making.hub("us", home)?;
    let eu_way = making.region("eu", &us_way, rtt).await?;
    let plan = |name, ports, way| RegionPlan {
        name,
        ports,
        way,
        progress_interval: progress_notify_interval,
    };
    let us = Region::start(plan("us", us, us_way), &metrics, &root)?;
    let eu = Region::start(plan("eu", eu, eu_way), &metrics, &root)?;
    live.say(&page::of(&dir, rtt, &us, &eu));

    let failed = tokio::select! {
        _ = signals.next() => false,
        failure = root.failed() => { live.say(&format!("stopping: {failure}")); true }
        never = live.run([&us, &eu]) => match never {},
    };
    live.close();
    live.say("stopping in order; Ctrl-C again stops at once");
    let stopping = async {
        let ((us_ended, us_admin), (eu_ended, eu_admin)) =
            tokio::join!(us.stop(DRAIN), eu.stop(DRAIN));
        let links = all_ended("links", &links.stop(ROOM_STOP).await);
        let home = all_ended("home", &upstream.stop(HOME_STOP).await);
        let rest = all_ended("dev", &root.stop(ROOM_STOP).await);
        wire::stop_admin(vec![us_admin, eu_admin]).await;
        us_ended && eu_ended && links && home && rest
    };
    tokio::select! {
        ended = stopping => Ok(if failed || !ended { Outcome::Failed } else { Outcome::Well }),
        _ = signals.next() => Ok(Outcome::CutShort),
    }
}

async fn open_home(dir: PathBuf, client_url: String, tasks: &TaskGroup) -> Result<Arc<dyn Home>> {
    let config = EmbeddedConfig {
        dir,
        name: "dev".to_owned(),
        client_urls: vec![client_url],
    };
    let tasks = tasks.clone();
    let opened = tokio::task::spawn_blocking(move || EmbeddedHome::open(config, &tasks)).await;
    // Its text holds what the system said, so the chain would say it twice.
    let home = opened
        .context("open the home")?
        .map_err(|error| anyhow!("--dir: {error}"))?;
    Ok(home)
}

#[cfg(test)]
mod tests;
