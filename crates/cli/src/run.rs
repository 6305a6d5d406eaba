//! `meridian run`: the roles of a configuration file, until a signal.
//!
//! Order: read everything and report everything, then bind, then start. It stops in the order
//! doors, engine, home, admin port; readiness turns first.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use meridian_conf::Conf;
use meridian_runtime::{TaskGroup, telemetry::Metrics};

use crate::{
    Outcome, config, logging, runtime,
    signals::Signals,
    wire::{self, Ports},
};

/// What the runtime's own threads get after everything has stopped.
const LAST_THREADS: Duration = Duration::from_secs(1);

/// Options of `run`.
#[derive(Args)]
#[command(after_help = "Every key can be overridden by the environment, as in
MERIDIAN__GATEWAY__ETCD__LISTEN=0.0.0.0:2379. MERIDIAN_LOG overrides the log level.
SIGTERM or SIGINT drains and stops; a second one stops at once.")]
pub(crate) struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn execute(options: &Options) -> Result<Outcome> {
    let Some(conf) = config::read(&options.config) else {
        return Ok(Outcome::Misconfigured);
    };
    logging::install(conf.log.format, &conf.log.level)?;
    let runtime = runtime().context("start the runtime")?;
    let outcome = runtime.block_on(run(conf));
    runtime.shutdown_timeout(LAST_THREADS);
    outcome
}

async fn run(conf: Conf) -> Result<Outcome> {
    let mut signals = Signals::listen()?;
    let ports = Ports::open(&conf)?;
    let metrics = Metrics::install(&conf.node.name, &conf.node.region)?;
    let root = TaskGroup::root(conf.node.name.clone());
    let node = wire::start_node(&conf, ports, metrics, &root)?;

    let failed = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping in order; a second signal stops at once");
            false
        }
        failure = root.failed() => {
            tracing::error!(%failure, "stopping in order after a failure");
            true
        }
    };
    tokio::select! {
        ended = node.stop(root) => {
            Ok(if failed || !ended { Outcome::Failed } else { Outcome::Well })
        }
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            Ok(Outcome::CutShort)
        }
    }
}
