//! The comparison of issue 3: what the log costs behind a WAN, and how late it comes.
//!
//! Hub, delegate and members against as many grpc-proxies behind the same emulated wire, then a delegate with a
//! thousand subscribers, the latency of its hop, and QUIC against TCP with TLS. Bytes are the emulator's count, never
//! ours; times are of one clock. A section that fails is told and the others still run.

mod consumers;
mod crowd;
mod home;
mod hop;
mod hub_cpu;
mod objects;
mod region;
mod stage;
mod timeline;
mod transport;
mod watch;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use meridian_delegate::Congestion;

use crate::{
    fleet::Binaries,
    gateway::Finished,
    machine,
    report::{Report, aligned},
    tell,
};
use stage::Stage;

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// N consumers in a region against N grpc-proxies.
    Consumers,
    /// What a revision costs the hub, whatever the number of consumers.
    HubCpu,
    /// What the way through a delegate adds on loopback.
    Hop,
    /// A delegate with a thousand subscribers.
    Crowd,
    /// QUIC against TCP with TLS.
    Transport,
}

/// A congestion controller of the link, as its configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Controller {
    /// What TCP uses.
    Cubic,
    /// Goes by measured bandwidth and round trip.
    Bbr,
    /// The plain one of the QUIC standard.
    #[value(name = "newreno")]
    NewReno,
}

impl Controller {
    fn congestion(self) -> Congestion {
        match self {
            Self::Cubic => Congestion::Cubic,
            Self::Bbr => Congestion::Bbr,
            Self::NewReno => Congestion::NewReno,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Bbr => "bbr",
            Self::NewReno => "newreno",
        }
    }
}

/// Options of `meridian-bench relay`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Fewer consumers, shorter runs: a look in two minutes.
    #[arg(long)]
    pub quick: bool,
    /// Where to write the JSON form.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Which parts to run.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "consumers,hub-cpu,hop,crowd,transport"
    )]
    pub sections: Vec<Section>,
    /// How many consumers, one after the other; 1,10,50 if not given, 1,10 with --quick.
    #[arg(long, value_delimiter = ',')]
    pub consumers: Vec<usize>,
    /// Revisions a second.
    #[arg(long, default_value_t = 1_000.0)]
    pub rate: f64,
    /// Objects that are rewritten.
    #[arg(long, default_value_t = 1_000)]
    pub objects: usize,
    /// How long each measurement takes; 10 s if not given, 3 s with --quick.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Subscribers of the crowd.
    #[arg(long, default_value_t = 1_000)]
    pub subscribers: usize,
    /// How links find their sending rate, at both ends.
    #[arg(long, value_enum, default_value = "cubic")]
    pub congestion: Controller,
    /// Leave the peers out: a look at ourselves alone.
    #[arg(long)]
    pub no_peers: bool,
    /// etcd's binary; the newest known if not given.
    #[arg(long)]
    pub etcd_bin: Option<PathBuf>,
    /// Meridian's binary; the one beside this executable if not given.
    #[arg(long)]
    pub meridian_bin: Option<PathBuf>,
    /// Where data goes, in a folder that is removed at the end; the system's temporary folder if not given.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Leave that folder, with the logs, where it is.
    #[arg(long)]
    pub keep: bool,
    /// Most time for everything; 15 minutes if not given.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub deadline: Option<Duration>,
}

impl Options {
    /// Most time for everything.
    pub fn deadline(&self) -> Duration {
        self.deadline.unwrap_or(Duration::from_secs(15 * 60))
    }

    /// How long each measurement takes.
    fn duration(&self) -> Duration {
        let seconds = if self.quick { 3 } else { 10 };
        self.duration.unwrap_or(Duration::from_secs(seconds))
    }

    /// Warm-up before a measurement, burst and silence after it.
    fn pause(&self) -> Duration {
        Duration::from_secs(if self.quick { 1 } else { 3 })
    }

    /// How many consumers, one after the other.
    fn consumers(&self) -> Vec<usize> {
        match (self.consumers.is_empty(), self.quick) {
            (false, _) => self.consumers.clone(),
            (true, true) => vec![1, 10],
            (true, false) => vec![1, 10, 50],
        }
    }
}

/// Runs the sections one after another.
pub async fn run(options: &Options, start: Instant) -> anyhow::Result<Finished> {
    let bins = Binaries::find(options.etcd_bin.clone(), options.meridian_bin.clone())?;
    ensure!(
        bins.meridian.is_file(),
        "no meridian at {}: build it (`cargo build --release -p meridian-cli`), or name it with --meridian-bin",
        bins.meridian.display(),
    );
    let mut report = Report::begin();
    stage::versions(&bins, &mut report.versions);
    let mut stage = Stage::new(options, bins, start).await?;
    let mut failures = Vec::new();
    for section in &options.sections {
        stage.say(format_args!("section {section:?}"));
        let measured = match section {
            Section::Consumers => consumers::measure(&mut stage, &mut report).await,
            Section::HubCpu => hub_cpu::measure(&mut stage, &mut report).await,
            Section::Hop => hop::measure(&mut stage, &mut report).await,
            Section::Crowd => crowd::measure(&mut stage, &mut report).await,
            Section::Transport => transport::measure(&mut stage, &mut report).await,
        };
        if let Err(error) = measured {
            tell::progress(start, format_args!("section {section:?} failed: {error:#}"));
            failures.push(format!("{section:?}: {error:#}"));
        }
    }
    report.load_after = machine::load();
    report.seconds = start.elapsed().as_secs_f64();
    let details = aligned(&stage.details);
    report.details = stage.details_json();
    Ok(Finished {
        report,
        details,
        failures,
    })
}
