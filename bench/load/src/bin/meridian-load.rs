//! `meridian-load`: one load against one etcd endpoint, its numbers as text or JSON.

use std::{
    io::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use meridian_load::{
    connection::Endpoint,
    cost::Cost,
    drive::{Loop, Session},
    fan_out::{FanOut, FanOutSession, WriteRate},
    fill::fill,
    shape::Shape,
    tell,
    workload::Operation,
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Load for any etcd endpoint without TLS.
#[derive(Debug, Parser)]
#[command(version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put every key of the data set once, in batches.
    Fill(Fill),
    /// One operation in a closed loop, or in an open one with --rate.
    Run(Run),
    /// Watchers and a writer; counts delivered events.
    Watch(Watch),
}

#[derive(Args, Debug)]
struct Data {
    /// Number of keys.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// Length of a key.
    #[arg(long, default_value_t = 42)]
    key_bytes: usize,
    /// Length of a value.
    #[arg(long, default_value_t = 256)]
    value_bytes: usize,
}

impl Data {
    fn shape(&self) -> anyhow::Result<Shape> {
        Ok(Shape::new(self.keys, self.key_bytes, self.value_bytes)?)
    }
}

#[derive(Args, Debug)]
struct Span {
    /// Before the clock starts; not counted.
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// How long to measure.
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// Process whose CPU and memory to tell: the server's.
    #[arg(long)]
    pid: Option<u32>,
    /// Where to write JSON; `-` is standard output.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Fill {
    /// Where: host:port.
    #[arg(long, default_value = "127.0.0.1:2379")]
    endpoint: Endpoint,
    #[command(flatten)]
    data: Data,
}

#[derive(Args, Debug)]
struct Run {
    /// What to do.
    #[arg(value_enum)]
    operation: Operation,
    /// Where: host:port; several are used in turn.
    #[arg(long, default_value = "127.0.0.1:2379", value_delimiter = ',')]
    endpoint: Vec<Endpoint>,
    /// Connections.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Operations in flight over all connections; with --rate, the most there may be.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Operations per second: an open loop, latency from when each was meant to start.
    #[arg(long)]
    rate: Option<f64>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    span: Span,
}

#[derive(Args, Debug)]
struct Watch {
    /// Whose watchers: host:port.
    #[arg(long, default_value = "127.0.0.1:2379")]
    endpoint: Endpoint,
    /// Where to put; the endpoint itself if not given.
    #[arg(long)]
    writer: Option<Endpoint>,
    /// Watchers in all.
    #[arg(long, default_value_t = 200)]
    watchers: usize,
    /// Connections they share, one stream each.
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Puts per second; one after the other if not given.
    #[arg(long)]
    rate: Option<f64>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    span: Span,
}

fn main() -> ExitCode {
    match run(Line::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell::failure(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match command {
            Command::Fill(arguments) => run_fill(arguments).await,
            Command::Run(arguments) => run_operation(arguments).await,
            Command::Watch(arguments) => run_watch(arguments).await,
        }
    })
}

async fn run_fill(arguments: Fill) -> anyhow::Result<()> {
    let start = Instant::now();
    let shape = arguments.data.shape()?;
    let progress = |keys| tell::progress(start, format_args!("{keys} of {} keys", shape.keys));
    let took = fill(&arguments.endpoint, &shape, &progress).await?;
    let rate = shape.keys as f64 / took.as_secs_f64();
    tell::result(format_args!(
        "{} keys in {took:.1?}: {rate:.0} keys/s",
        shape.keys
    ));
    Ok(())
}

async fn run_operation(arguments: Run) -> anyhow::Result<()> {
    let Run {
        operation,
        endpoint,
        connections,
        in_flight,
        rate,
        data,
        span,
    } = arguments;
    let how = match rate {
        Some(rate) => Loop::Open {
            rate,
            in_flight_max: in_flight,
        },
        None => Loop::Closed { in_flight },
    };
    let shape = data.shape()?;
    let mut session = Session::open(&endpoint, connections, operation, &shape, in_flight).await?;
    if !span.warmup.is_zero() {
        session.run(how, span.warmup).await.context("warm up")?;
    }
    let cost = Cost::begin(span.pid)?;
    let outcome = session.run(how, span.duration).await?;
    let cost = cost.end(outcome.ops)?;
    let latency = outcome.latency;
    tell_end(
        &span,
        &json!({ "operation": operation.to_string(), "outcome": outcome, "cost": cost }),
        || {
            format!(
                "{operation}: {} ops in {:.1} s, {:.0}/s · p50 {:.0} p99 {:.0} p999 {:.0} max {:.0} µs · {:.0} B/op · {} failed {}\n{cost}",
                outcome.ops,
                outcome.seconds,
                outcome.ops_per_second,
                latency.p50_us,
                latency.p99_us,
                latency.p999_us,
                latency.max_us,
                outcome.bytes_per_op,
                outcome.failed(),
                outcome.first_error.as_deref().unwrap_or_default(),
            )
        },
    )
}

async fn run_watch(arguments: Watch) -> anyhow::Result<()> {
    let Watch {
        endpoint,
        writer,
        watchers,
        connections,
        rate,
        data,
        span,
    } = arguments;
    let writer = writer.unwrap_or_else(|| endpoint.clone());
    let (keys, value_bytes) = (data.keys, data.value_bytes);
    let form = FanOut {
        endpoint,
        writer,
        watchers,
        connections,
        keys,
        value_bytes,
    };
    let rate = rate.map_or(WriteRate::Closed, WriteRate::PerSecond);
    let mut session = FanOutSession::open(form).await?;
    if !span.warmup.is_zero() {
        session.run(rate, span.warmup).await.context("warm up")?;
    }
    let cost = Cost::begin(span.pid)?;
    let outcome = session.run(rate, span.duration).await?;
    let cost = cost.end(outcome.events)?;
    let latency = outcome.latency;
    tell_end(
        &span,
        &json!({ "operation": "watch", "outcome": outcome, "cost": cost }),
        || {
            format!(
                "watch: {} puts, {} of {} events in {} answers, {:.0} events/s · p50 {:.0} p99 {:.0} p999 {:.0} µs\n{cost}",
                outcome.puts,
                outcome.events,
                outcome.events_expected,
                outcome.answers,
                outcome.events_per_second,
                latency.p50_us,
                latency.p99_us,
                latency.p999_us,
            )
        },
    )
}

fn tell_end(
    span: &Span,
    json: &serde_json::Value,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    match &span.json {
        Some(path) if path.as_os_str() == "-" => {
            serde_json::to_writer_pretty(std::io::stdout().lock(), json)?;
            writeln!(std::io::stdout())?;
        }
        Some(path) => {
            std::fs::write(path, json.to_string())
                .with_context(|| format!("write {}", path.display()))?;
            tell::result(text());
        }
        None => tell::result(text()),
    }
    Ok(())
}
