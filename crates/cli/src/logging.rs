//! Where log lines go and how they look.
//!
//! One subscriber per process, on standard error. `MERIDIAN_LOG` wins over the configured level,
//! for one run. A panic is a log line like any other.

use std::{
    env,
    io::{self, IsTerminal},
};

use anyhow::{Context, Result};
use meridian_conf::LogFormat;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, fmt, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

/// Overrides the configured level.
const VARIABLE: &str = "MERIDIAN_LOG";

/// Lines in `format` from `level` on, on standard error.
pub(crate) fn install(format: LogFormat, level: &str) -> Result<()> {
    install_to(format, level, io::stderr)
}

/// The same, written by `writer`.
pub(crate) fn install_to<W>(format: LogFormat, level: &str, writer: W) -> Result<()>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = env::var(VARIABLE).unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&level).with_context(|| {
        format!("read the log level {level:?}; give one such as info or info,meridian_engine=debug")
    })?;
    let lines = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("no message");
        tracing::error!(place, "panic: {message}");
    }));
    Ok(())
}
