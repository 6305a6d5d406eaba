//! `meridian-bench`: whole comparisons. It starts every server itself and ends them all, also on Ctrl-C.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use meridian_load::{
    echo::{Echo, Style},
    gateway::{self, Finished},
    relay, tell,
};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Side-by-side runs of Meridian and its peers.
#[derive(Debug, Parser)]
#[command(version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A gateway, etcd, grpc-proxy and a bare h2 echo under the same load.
    Gateway(Box<gateway::Options>),
    /// The log behind a WAN: hub, delegates and members against grpc-proxies.
    Relay(Box<relay::Options>),
    /// The bare h2 echo alone.
    Echo(EchoOptions),
}

#[derive(Args, Debug)]
struct EchoOptions {
    /// Loopback port; 0 is any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Bytes of an answer, gRPC's five included.
    #[arg(long, default_value_t = 345)]
    answer_bytes: usize,
    /// How to work on a request.
    #[arg(long, value_enum, default_value = "spawned")]
    style: Style,
    /// Threads that serve.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

fn main() -> ExitCode {
    let ended = match Line::parse().command {
        Command::Gateway(options) => compare_gateways(&options),
        Command::Relay(options) => compare_relays(&options),
        Command::Echo(options) => serve_echo(&options),
    };
    ended.unwrap_or_else(|error| {
        tell::failure(&error);
        ExitCode::FAILURE
    })
}

fn serve_echo(options: &EchoOptions) -> anyhow::Result<ExitCode> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(options.threads.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let echo = Echo::bind(options.port, options.answer_bytes, options.style).await?;
        tell::result(format_args!("echo on 127.0.0.1:{}", echo.port()));
        echo.serve().await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn compare_gateways(options: &gateway::Options) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let finished = runtime.block_on(in_time(gateway::run(options, start), options.deadline()))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    tell_end(options.json.as_deref(), &finished)
}

/// Nodes run inside, so there is a runtime as they have one.
fn compare_relays(options: &relay::Options) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let finished = runtime.block_on(in_time(relay::run(options, start), options.deadline()))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    tell_end(options.json.as_deref(), &finished)
}

/// Whichever comes first, the run is dropped and every server it started is killed.
async fn in_time(
    run: impl Future<Output = anyhow::Result<Finished>>,
    deadline: Duration,
) -> anyhow::Result<Finished> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        finished = run => finished,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted: every server is stopped"),
        _ = terminate.recv() => anyhow::bail!("terminated: every server is stopped"),
        () = tokio::time::sleep(deadline) => {
            anyhow::bail!("not done after {deadline:?}: give more with --deadline")
        }
    }
}

fn tell_end(json: Option<&Path>, finished: &Finished) -> anyhow::Result<ExitCode> {
    let Finished {
        report,
        details,
        failures,
    } = finished;
    tell::result(format_args!("{details}\n{}", report.table()));
    if let Some(path) = json {
        report.write_json(path).context("keep the result")?;
    }
    for failure in failures {
        tell::result(format_args!("FAILED {failure}"));
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
