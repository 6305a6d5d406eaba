//! The comparison of issue 2: etcd, grpc-proxy, a gateway and a bare h2 echo under the same load in one run.
//!
//! Targets take turns inside every round, so that a neighbour's noise falls on all of them; the verdict compares best
//! round with best round, and the details keep every round. A section that fails is told and the others still run.

mod fan_out;
mod puts;
mod reads;
mod replica;
mod scale;
mod series;
mod stage;
mod target;
mod wan;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::ensure;
use clap::{Args, ValueEnum};

use crate::{
    echo::Style,
    fleet::Binaries,
    machine,
    report::{Report, aligned},
    tell,
};
use scale::Scale;
use series::Series;
use stage::Stage;
use target::Target;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// One member of the home, directly.
    Etcd,
    /// `etcd grpc-proxy` before the home.
    Proxy,
    /// Meridian before the home.
    Gateway,
    /// A bare h2 echo: the limit.
    Echo,
}

impl Name {
    /// The name in reports.
    pub fn text(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Proxy => "grpc-proxy",
            Self::Gateway => "gateway",
            Self::Echo => "h2-echo",
        }
    }
}

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Serializable point get and range of 100.
    Reads,
    /// Watch fan-out.
    Watch,
    /// Linearizable get behind a long round trip.
    Wan,
    /// Puts through against direct.
    Puts,
    /// Memory and bootstrap of a big replica.
    Replica,
}

/// Options of `meridian-bench gateway`.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Fewer keys, shorter rounds: a slice for CI.
    #[arg(long)]
    pub quick: bool,
    /// Where to write the JSON form.
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// What to compare.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "etcd,proxy,gateway,echo"
    )]
    pub targets: Vec<Name>,
    /// Which parts to run.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "reads,watch,wan,puts,replica"
    )]
    pub sections: Vec<Section>,
    /// etcd's binary; the newest known if not given.
    #[arg(long)]
    pub etcd_bin: Option<PathBuf>,
    /// Meridian's binary; the one beside this executable if not given.
    #[arg(long)]
    pub meridian_bin: Option<PathBuf>,
    /// Rounds of every measurement.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How the echo works on a request.
    #[arg(long, value_enum, default_value = "spawned")]
    pub echo_style: Style,
    /// Where data goes, in a folder that is removed at the end; the system's temporary folder if not given.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Most time for everything; 15 minutes with --quick, else an hour.
    #[arg(long, value_parser = humantime::parse_duration)]
    pub deadline: Option<Duration>,
}

impl Options {
    /// Most time for everything.
    pub fn deadline(&self) -> Duration {
        let minutes = if self.quick { 15 } else { 60 };
        self.deadline.unwrap_or(Duration::from_secs(minutes * 60))
    }
}

/// What came of a run: the report, the human form of its details, the sections that failed.
#[derive(Debug)]
pub struct Finished {
    /// The comparison.
    pub report: Report,
    /// Throughput, latency, CPU and memory of each target in each measurement.
    pub details: String,
    /// Name and reason of every section that failed.
    pub failures: Vec<String>,
}

/// Runs the sections one after another.
pub async fn run(options: &Options, start: Instant) -> anyhow::Result<Finished> {
    let bins = Binaries::find(options.etcd_bin.clone(), options.meridian_bin.clone())?;
    ensure!(
        bins.meridian.is_file() || !options.targets.contains(&Name::Gateway),
        "no gateway at {}: build it (`cargo build --release -p meridian-cli`), name it with \
         --meridian-bin, or leave it out with --targets etcd,proxy,echo",
        bins.meridian.display(),
    );
    let mut report = Report::begin();
    stage::versions(&bins, options, &mut report.versions);
    let mut stage = Stage::new(options, bins, start)?;
    let mut failures = Vec::new();
    for section in &options.sections {
        stage.say(format_args!("section {section:?}"));
        let measured = match section {
            Section::Reads => reads::measure(&mut stage, &mut report).await,
            Section::Watch => fan_out::measure(&mut stage, &mut report).await,
            Section::Wan => wan::measure(&mut stage, &mut report).await,
            Section::Puts => puts::measure(&mut stage, &mut report).await,
            Section::Replica => replica::measure(&mut stage, &mut report).await,
        };
        if let Err(error) = measured {
            let error = match stage.ended() {
                Some(ended) => error.context(ended),
                None => error,
            };
            tell::progress(start, format_args!("section {section:?} failed: {error:#}"));
            failures.push(format!("{section:?}: {error:#}"));
            // The next section starts its own: a broken server fails one section, not all.
            stage.end_fronts();
        }
    }
    report.load_after = machine::load();
    report.seconds = start.elapsed().as_secs_f64();
    report
        .details
        .extend(stage.series.iter().map(|series| serde_json::json!(series)));
    let details = details(&stage.series);
    Ok(Finished {
        report,
        details,
        failures,
    })
}

fn details(series: &[Series]) -> String {
    let mut lines = vec![Series::HEAD.map(str::to_owned)];
    lines.extend(series.iter().map(Series::cells));
    aligned(&lines)
}
